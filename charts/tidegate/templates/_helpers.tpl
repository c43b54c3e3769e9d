{{/* The name of everything in the release's namespace: the release's name, with the chart's unless it has it. */}}
{{- define "tidegate.fullname" -}}
{{- $name := ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name) -}}
{{- $name | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{/* The name of what lies outside namespaces; several namespaced releases may share a cluster. */}}
{{- define "tidegate.clusterName" -}}
{{- if .Values.namespaced -}}
{{ include "tidegate.fullname" . }}-{{ .Release.Namespace }}
{{- else -}}
{{ include "tidegate.fullname" . }}
{{- end -}}
{{- end }}

{{- define "tidegate.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tidegate.labels" -}}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{ include "tidegate.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "tidegate.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "tidegate.fullname" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end }}

{{- define "tidegate.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end }}

{{- define "tidegate.webhookName" -}}
{{ include "tidegate.fullname" . | trunc 55 | trimSuffix "-" }}-webhook
{{- end }}

{{/* The Secret that the webhook's certificate is in. */}}
{{- define "tidegate.webhookSecret" -}}
{{- .Values.webhook.certificate.secretName | default (printf "%s-tls" (include "tidegate.webhookName" .)) -}}
{{- end }}

{{/* The lease of Argo Rollouts' own controller. */}}
{{- define "tidegate.argoLease" -}}
{{- $suffix := ternary (printf "-%s" .Values.instanceId) "" (not (empty .Values.instanceId)) -}}
{{- .Values.argoRollouts.leaseName | default (printf "argo-rollouts-controller-lock%s" $suffix) -}}
{{- end }}

{{- define "tidegate.subject" -}}
- kind: ServiceAccount
  name: {{ include "tidegate.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{/* What the operator does in the namespaces that it looks after, verb for verb. */}}
{{- define "tidegate.rules" -}}
# The status by its subresource; the revision annotation and an omitted replica count on the object.
- apiGroups: [argoproj.io]
  resources: [rollouts]
  verbs: [get, list, watch, patch]
- apiGroups: [argoproj.io]
  resources: [rollouts/status]
  verbs: [patch]
- apiGroups: [argoproj.io]
  resources: [analysistemplates]
  verbs: [list, watch]
# The status of an AnalysisRun is no subresource, and neither is an Experiment's.
- apiGroups: [argoproj.io]
  resources: [analysisruns]
  verbs: [get, list, watch, create, patch, delete]
# Experiments are created by canary steps, ended by a patch of their spec, and deleted beyond the history limits.
- apiGroups: [argoproj.io]
  resources: [experiments]
  verbs: [get, list, watch, create, patch, delete]
# What a Rollout or an Experiment owns names it as an owner whose deletion it blocks. Clusters that enforce owner
# references ask for this right then; no finalizer is ever written.
- apiGroups: [argoproj.io]
  resources: [rollouts/finalizers, experiments/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [get, list, watch, create, patch, delete]
# Workloads that a workloadRef names; a Deployment can be scaled down for its Rollout.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, patch]
- apiGroups: [""]
  resources: [podtemplates]
  verbs: [list, watch]
# Restarts by spec.restartAt, and metadata of a role: pods are only read while one is under way or has changed.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, patch]
# Whether proxies can know of a version's pods before a DestinationRule's subset is given to them.
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list]
- apiGroups: [""]
  resources: [pods/eviction]
  verbs: [create]
# Services are patched; created and deleted are only the own ones of Experiments.
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.istio.io]
  resources: [virtualservices, destinationrules]
  verbs: [get, list, watch, patch]
{{- with .Values.secrets }}
# For analyses: a Secret is got by its name for each measurement, never listed or watched.
- apiGroups: [""]
  resources: [secrets]
  {{- if not (has "*" .) }}
  resourceNames:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  verbs: [get]
{{- end }}
# Metrics that are Jobs, and why the pods of these don't start.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [events]
  verbs: [get, create, patch]
{{- end }}
