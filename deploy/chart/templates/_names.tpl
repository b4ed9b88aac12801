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

{{/* A mesh's sidecar may have to be told that it may be told to quit (Linkerd, since 2.16). */}}
{{- define "chupacabra.podAnnotations" -}}
{{- $meshs := ternary (dict "config.linkerd.io/proxy-admin-shutdown" "enabled") dict (eq .Values.mesh "linkerd") -}}
{{- with merge (deepCopy (default dict .Values.podAnnotations)) $meshs -}}
{{ toYaml . }}
{{- end -}}
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

{{/* The port of an address: its own, or else the usual one of its scheme. */}}
{{- define "chupacabra.port" -}}
{{- $usual := ternary "80" "443" (hasPrefix "http://" .) -}}
{{- regexFind ":[0-9]+(/|$)" . | trimPrefix ":" | trimSuffix "/" | default $usual -}}
{{- end -}}

{{/* The port of a sentinel: `host:port` and `[v6]:port` have their own, names and addresses that end with a digit none. */}}
{{- define "chupacabra.sentinelPort" -}}
{{- regexFind "^([^:]*|\\[.*\\]):[0-9]+$" . | regexFind "[1-9][0-9]*$" | default "26379" -}}
{{- end -}}

{{/*
The configuration as a text, whichever way it was written. Helm reads YAML 1.1, where the key `on` means `true`: in
notifications it gets its name back, without which every run would end with an unknown key.
*/}}
{{- define "chupacabra.config" -}}
{{- if kindIs "string" .Values.config -}}
{{ .Values.config }}
{{- else -}}
{{- $config := deepCopy .Values.config -}}
{{- range $name, $one := default dict $config.notifications -}}
{{- if and (kindIs "map" $one) (hasKey $one "true") -}}
{{- $_ := set $one "on" (get $one "true") -}}
{{- $_ := unset $one "true" -}}
{{- end -}}
{{- end -}}
{{ toYaml $config }}
{{- end -}}
{{- end -}}
