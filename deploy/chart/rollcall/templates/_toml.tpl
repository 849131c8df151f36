{{/*
rollcall.toml from a map. Helm's own toToml writes every number of a values file as a float (`5.0`), which rollcall
refuses: its numbers are whole.
*/}}
{{- define "rollcall.toml" -}}
{{- range $key, $value := . }}
{{- if not (or (kindIs "map" $value) (kindIs "invalid" $value)) }}
{{ $key }} = {{ include "rollcall.tomlValue" (dict "key" $key "value" $value) }}
{{- end }}
{{- end }}
{{- range $key, $value := . }}
{{- if kindIs "map" $value }}

[{{ $key }}]
{{- range $inner, $value := $value }}
{{- if kindIs "map" $value }}
{{- fail (printf "config.%s.%s: rollcall has no tables in tables" $key $inner) }}
{{- else if not (kindIs "invalid" $value) }}
{{ $inner }} = {{ include "rollcall.tomlValue" (dict "key" (printf "%s.%s" $key $inner) "value" $value) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Strings and lists of strings are written in JSON, which is TOML for them. */}}
{{- define "rollcall.tomlValue" -}}
{{- if or (kindIs "string" .value) (kindIs "bool" .value) (kindIs "slice" .value) -}}
{{ toRawJson .value }}
{{- else if or (kindIs "float64" .value) (kindIs "int64" .value) (kindIs "int" .value) -}}
{{- if ne (float64 .value) (float64 (int64 .value)) }}{{ fail (printf "config.%s: %v is not a whole number" .key .value) }}{{ end -}}
{{ int64 .value }}
{{- else -}}
{{ fail (printf "config.%s: %s is no value of rollcall.toml" .key (kindOf .value)) }}
{{- end }}
{{- end }}
