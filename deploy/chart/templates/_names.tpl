{{/* Names stay below 40 characters: a CronJob may have 52, and its suffix needs some of them. */}}
{{- define "chupacabra.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 38 | trimSuffix "-" -}}
{{- end -}}

{{- define "chupacabra.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 38 | trimSuffix "-" -}}
{{- else if contains (include "chupacabra.name" .) .Release.Name -}}
{{- .Release.Name | trunc 38 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "chupacabra.name" .) | trunc 38 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The CronJob of a schedule. Called with a dict: root, schedule. */}}
{{- define "chupacabra.cronjob" -}}
{{- printf "%s-%s" (include "chupacabra.fullname" .root) .schedule | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "chupacabra.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{ include "chupacabra.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "chupacabra.selector" -}}
app.kubernetes.io/name: {{ include "chupacabra.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "chupacabra.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "chupacabra.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "chupacabra.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ printf "%s@%s" $image.repository $image.digest }}
{{- else -}}
{{ printf "%s:%s" $image.repository (default .Chart.AppVersion $image.tag) }}
{{- end -}}
{{- end -}}

{{/* The configuration as a text, whichever way it was written. */}}
{{- define "chupacabra.config" -}}
{{- if kindIs "string" .Values.config -}}
{{ .Values.config }}
{{- else -}}
{{ toYaml .Values.config }}
{{- end -}}
{{- end -}}
