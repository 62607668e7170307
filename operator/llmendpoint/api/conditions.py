"""The condition types and every reason that the operator reports, each with its meaning."""

from enum import StrEnum


class ConditionType(StrEnum):
    """Positive polarity: True is good."""

    READY = "Ready"
    """All wanted replicas, and the business service, serve the current spec. kstatus tools wait on it."""
    PROGRESSING = "Progressing"
    """Something is on its way: replicas start, drain, or a roll-out goes on."""
    METRICS_AVAILABLE = "MetricsAvailable"
    """The scaler can read every replica that should have metrics."""
    SCALING_ACTIVE = "ScalingActive"
    """The scaler decides and writes the replica count."""


class Reason(StrEnum):
    """One word for why a condition is as it is."""

    # Ready
    ALL_REPLICAS_READY = "AllReplicasReady"
    """Every wanted replica serves."""
    INVALID_SPEC = "InvalidSpec"
    """The spec breaks a rule that the API server could not check. Nothing was changed."""
    APPLY_FAILED = "ApplyFailed"
    """The API server refused a child object or could not be reached."""
    NOT_OWNED = "NotOwned"
    """The name of a child is taken by an object that is not this endpoint's. It was left as it is."""
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - a reason, not a password
    """A Secret or ConfigMap, or a key in it, that a pod needs does not exist."""
    CONTAINER_REFUSED = "ContainerRefused"
    """The node can not create a container as it is specified."""
    UNSCHEDULABLE = "Unschedulable"
    """No node can take a replica."""
    QUOTA_EXCEEDED = "QuotaExceeded"
    """A ResourceQuota of the namespace does not allow another replica."""
    PODS_REFUSED = "PodsRefused"
    """The API server refuses the pods, for example by Pod Security admission."""
    IMAGE_PULL_FAILED = "ImagePullFailed"
    """A container image can not be pulled."""
    OUT_OF_MEMORY = "OutOfMemory"
    """A container was killed for using more memory than its limit."""
    CRASH_LOOP = "CrashLoop"
    """A container keeps exiting."""
    STARTUP_TIMEOUT = "StartupTimeout"
    """The engine was not ready within engine.startupTimeoutSeconds."""
    VOLUME_PENDING = "VolumePending"
    """A volume is not bound or can not be mounted."""
    ENGINE_STALLED = "EngineStalled"
    """A replica has running requests and makes no step."""
    REPLICAS_STARTING = "ReplicasStarting"
    """Replicas are on their way."""
    ROLLING_OUT = "RollingOut"
    """A new revision replaces the old one."""
    BUSINESS_NOT_READY = "BusinessNotReady"
    """The engine serves, the business service does not yet."""

    # Progressing
    SETTLED = "Settled"
    """Nothing is on its way."""
    SCALING_OUT = "ScalingOut"
    """Replicas were ordered and are not ready yet."""
    DRAINING = "Draining"
    """Replicas finish their streams before they stop."""

    # MetricsAvailable
    METRICS_READ = "MetricsRead"
    """Every ready replica was read."""
    NO_READY_REPLICAS = "NoReadyReplicas"
    """There is nothing to read."""
    NOT_READ_YET = "NotReadYet"
    """Replicas have just become ready: the next tick reads them."""
    METRICS_PARTIAL = "MetricsPartial"
    """Some replicas could not be read: no scale-in until they can."""
    METRICS_UNKNOWN = "MetricsUnknown"
    """No replica could be read: the size is held."""
    TARGET_UNKNOWN = "TargetUnknown"
    """The query of a PromQL target gives no number: no scale-in until it does."""
    NOT_NEEDED = "NotNeeded"
    """Nothing decides on metrics in this mode."""

    # ScalingActive
    SCALER_ACTIVE = "ScalerActive"
    """The scaler writes the replica count."""
    SCALER_WARNING = "ScalerWarning"
    """The scaler works, and a setting deserves a look."""
    DRY_RUN = "DryRun"
    """The scaler decides and writes nothing."""
    SCALING_OFF = "ScalingOff"
    """spec.replicas counts."""
