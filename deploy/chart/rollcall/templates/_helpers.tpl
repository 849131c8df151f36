{{- define "rollcall.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "rollcall.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains (include "rollcall.name" .) .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "rollcall.name" .) | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What selects the pods: never changed afterwards. */}}
{{- define "rollcall.selector" -}}
app.kubernetes.io/name: {{ include "rollcall.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "rollcall.labels" -}}
{{ include "rollcall.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: rollcall
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "rollcall.account" -}}
{{- default (include "rollcall.fullname" .) .Values.account.name }}
{{- end }}

{{- define "rollcall.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{/* The namespaces that mode `namespace` follows, as a JSON list. */}}
{{- define "rollcall.namespaces" -}}
{{- default (list .Release.Namespace) .Values.namespaces | toJson }}
{{- end }}

{{- define "rollcall.adminPort" -}}
{{- if eq .Values.mode "node" }}{{ .Values.node.adminPort }}{{ else }}{{ .Values.ports.admin }}{{ end }}
{{- end }}

{{- define "rollcall.dnsPort" -}}
{{- if eq .Values.mode "node" }}{{ .Values.node.port }}{{ else }}{{ .Values.ports.dns }}{{ end }}
{{- end }}

{{/* What the account needs: list and watch, of nothing more than is followed. */}}
{{- define "rollcall.rules" -}}
- apiGroups: [""]
  resources: [services]
  verbs: [list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [list, watch]
{{- if ne .Values.mode "namespace" }}
- apiGroups: [""]
  resources: [namespaces]
  verbs: [list, watch]
{{- end }}
{{- if eq (.Values.config.pods | default "disabled") "verified" }}
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
{{- end }}
{{- if .Values.rbac.pods }}
- apiGroups: [""]
  resources: [pods, persistentvolumeclaims, events]
  verbs: [list]
{{- end }}
{{- end }}
