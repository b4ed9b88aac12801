{{/* What values.schema.json cannot say: what contradicts what, in words. */}}
{{- define "chupacabra.contradictions" -}}
{{- $values := .Values -}}
{{- if and $values.config $values.existingConfigMap -}}
{{- fail "config and existingConfigMap exclude each other: keep one of them" -}}
{{- end -}}
{{- if not (or $values.config $values.existingConfigMap) -}}
{{- fail "there is nothing to back up: write the ChupaCabra configuration into `config`, or name an `existingConfigMap`" -}}
{{- end -}}
{{- $names := dict -}}
{{- range concat $values.volumes $values.restore.volumes -}}
{{- if hasKey $names .name -}}
{{- fail (printf "two volumes have the name %s: give each its own" .name) -}}
{{- end -}}
{{- $_ := set $names .name true -}}
{{- end -}}
{{- range $values.restore.mount -}}
{{- if not (hasKey $names .) -}}
{{- fail (printf "restore.mount: there is no volume %s in volumes" .) -}}
{{- end -}}
{{- end -}}
{{- if and $values.alerts.enabled (eq (int $values.job.failedJobsHistoryLimit) 0) -}}
{{- fail "alerts.enabled: job.failedJobsHistoryLimit must be at least 1, or else nobody is told of a Job that failed" -}}
{{- end -}}
{{- $config := dict -}}
{{- if $values.config -}}
{{- $config = include "chupacabra.config" . | fromYaml -}}
{{- with $config.Error -}}
{{- fail (printf "config is not YAML: %s" .) -}}
{{- end -}}
{{- end -}}
{{- if $values.config -}}
{{- include "chupacabra.orphans" (dict "retention" $config.retention "key" "" "job" $values.job) -}}
{{- range $level := list "stores" "sources" -}}
{{- range $name, $one := default dict (get $config $level) -}}
{{- if and (kindIs "map" $one) (kindIs "map" (get (default dict $one) "retention")) -}}
{{- include "chupacabra.orphans" (dict "retention" $one.retention "key" (printf "%s.%s." $level $name) "job" $values.job) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $schedule, $settings := $values.schedules -}}
{{- if $settings -}}
{{- range $settings.sources -}}
{{- if and $values.config (not (hasKey (default dict $config.sources) .)) -}}
{{- fail (printf "schedules.%s.sources: there is no source %s in config" $schedule .) -}}
{{- end -}}
{{- end -}}
{{- range $settings.volumes -}}
{{- if not (hasKey $names .) -}}
{{- fail (printf "schedules.%s.volumes: there is no volume %s in volumes" $schedule .) -}}
{{- end -}}
{{- end -}}
{{- if and (gt (int (default 1 $settings.shards)) 1) (semverCompare "<1.29.0-0" $.Capabilities.KubeVersion.Version) -}}
{{- fail (printf "schedules.%s.shards: more than one needs Kubernetes 1.29 or later (backoffLimitPerIndex)" $schedule) -}}
{{- end -}}
{{- if and (gt (int (default 1 $settings.shards)) 1) (gt (int $values.job.backoffLimit) 1) -}}
{{- fail (printf "schedules.%s.shards: job.backoffLimit must be at most 1 with shards, so that all see the same sizes" $schedule) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
An upload of a run that still goes on is no orphan, for no run: not even for one of another schedule. A source's or a
store's retention replaces the general one as a whole, so that what it leaves out is the default. Called with a dict:
retention, key (where it stands in config), job.
*/}}
{{- define "chupacabra.orphans" -}}
{{- $after := get (default dict .retention) "orphans_after" | default "2d" -}}
{{- $seconds := include "chupacabra.seconds" $after -}}
{{- if and $seconds (gt (int64 .job.activeDeadlineSeconds) (int64 $seconds)) -}}
{{- fail (printf "job.activeDeadlineSeconds: a run may take %d seconds, but after %v another one takes its upload for an orphan and removes it; set %sretention.orphans_after in config to more than a run may take" (int64 .job.activeDeadlineSeconds) $after .key) -}}
{{- end -}}
{{- end -}}

{{/*
No two of a pod's mounts have one path; Kubernetes would refuse the pod, or with a slash more mount one over the other.
Called with a dict: mounts (each a path and what is mounted there).
*/}}
{{- define "chupacabra.paths" -}}
{{- $paths := dict -}}
{{- range .mounts -}}
{{- $path := clean .path -}}
{{- if hasKey $paths $path -}}
{{- fail (printf "%s and %s are both mounted at %s: give each its own path" (get $paths $path) .what $path) -}}
{{- end -}}
{{- $_ := set $paths $path .what -}}
{{- end -}}
{{- end -}}

{{/* The seconds of a span of the configuration, rounded down; nothing if it is none, which the program judges. */}}
{{- define "chupacabra.seconds" -}}
{{- if regexMatch "^ *([0-9]+ *(ms|s|m|h|d|w) *)+$" (toString .) -}}
{{- $millis := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 "w" 604800000 -}}
{{- $sum := 0 -}}
{{- range regexFindAll "[0-9]+ *(ms|s|m|h|d|w)" . -1 -}}
{{- /* Without zeros in front, which would make it an octal number. */}}
{{- $sum = add $sum (mul (regexFind "[1-9][0-9]*" . | int64) (get $millis (regexFind "[a-z]+" .))) -}}
{{- end -}}
{{- div $sum 1000 -}}
{{- end -}}
{{- end -}}
