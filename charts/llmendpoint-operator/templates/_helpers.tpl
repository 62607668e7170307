{{- define "llmendpoint.labels" -}}
app.kubernetes.io/name: llmendpoint-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "llmendpoint.selector" -}}
app.kubernetes.io/name: llmendpoint-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* What the operator may do: no Secrets, no wildcards, and nothing that it does not use: tests/apiserver/test_rbac.py. */ -}}
{{- define "llmendpoint.rules" -}}
- apiGroups: [llmendpoint.dev]
  resources: [llmendpoints] # patch: spec.replicas, where nobody else owns the count; create, delete: those of batches
  verbs: [list, watch, create, patch, delete]
- apiGroups: [llmendpoint.dev]
  resources: [llmbatches] # delete: ttlSecondsAfterFinished
  verbs: [get, list, watch, delete]
- apiGroups: [llmendpoint.dev]
  resources: [llmendpoints/status, llmbatches/status]
  verbs: [patch]
- apiGroups: [llmendpoint.dev]
  resources: [llmendpoints/finalizers, llmbatches/finalizers] # owner references with blockOwnerDeletion
  verbs: [update]
- apiGroups: [batch]
  resources: [jobs] # delete: those that fetched what nobody asks for any more
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services, persistentvolumeclaims]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
# Kinds of other projects, which are used where they are installed.
- apiGroups: [leaderworkerset.x-k8s.io]
  resources: [leaderworkersets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [inference.networking.k8s.io]
  resources: [inferencepools]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods] # patch: deletion cost; delete: a shorter grace for replicas that never served
  verbs: [list, watch, patch, delete]
- apiGroups: [""]
  resources: [resourcequotas] # no replica is ordered that a quota would refuse
  verbs: [list]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end }}
