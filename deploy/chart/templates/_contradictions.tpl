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
{{- $paths := dict -}}
{{- range concat $values.volumes $values.restore.volumes -}}
{{- if hasKey $names .name -}}
{{- fail (printf "two volumes have the name %s: give each its own" .name) -}}
{{- end -}}
{{- if hasKey $paths .path -}}
{{- fail (printf "two volumes are mounted at %s: give each its own path" .path) -}}
{{- end -}}
{{- $_ := set $names .name true -}}
{{- $_ := set $paths .path true -}}
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
{{- $orphans := get (default dict $config.retention) "orphans_after" -}}
{{- if and $values.config (not $orphans) (gt (int $values.job.activeDeadlineSeconds) 172800) -}}
{{- fail "job.activeDeadlineSeconds: after 2 days another run takes an upload for an orphan and removes it; set retention.orphans_after in config to more than a run may take" -}}
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
