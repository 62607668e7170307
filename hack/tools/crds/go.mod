module llmendpoint.dev/tools/crds

go 1.26.0

require (
	github.com/projectcontour/contour v1.33.8
	sigs.k8s.io/gateway-api v1.6.3
	sigs.k8s.io/gateway-api-inference-extension v1.5.0
	sigs.k8s.io/lws v0.9.0
)
