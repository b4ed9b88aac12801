{{/*
After how many seconds without a good run there is an alarm: as written, or else the longest time between two runs by
the schedule's cron, and two hours. Called with a dict: root, settings.
*/}}
{{- define "chupacabra.maxAge" -}}
{{- $day := 86400 -}}
{{- $between := $day -}}
{{- $free := list "*" "?" -}}
{{- $every := "^[*]/[0-9]+$" -}}
{{- $cron := splitList " " .settings.cron -}}
{{- if eq (len $cron) 1 -}}
{{- $words := dict "@hourly" 3600 "@weekly" (mul 7 $day) "@monthly" (mul 31 $day) "@yearly" (mul 366 $day) "@annually" (mul 366 $day) -}}
{{- $between = get $words .settings.cron | default $day -}}
{{- else if regexMatch $every (index $cron 3) -}}
{{- $between = min 366 (mul 31 (trimPrefix "*/" (index $cron 3) | int)) | mul $day -}}
{{- else if not (has (index $cron 3) $free) -}}
{{- $between = mul 366 $day -}}
{{- else if regexMatch $every (index $cron 4) -}}
{{- $between = min 7 (trimPrefix "*/" (index $cron 4) | int) | mul $day -}}
{{- else if not (has (index $cron 4) $free) -}}
{{- $between = mul 7 $day -}}
{{- else if regexMatch $every (index $cron 2) -}}
{{- $between = min 31 (trimPrefix "*/" (index $cron 2) | int) | mul $day -}}
{{- else if not (has (index $cron 2) $free) -}}
{{- $between = mul 31 $day -}}
{{- else if has (index $cron 1) $free -}}
{{- $between = 3600 -}}
{{- else if regexMatch $every (index $cron 1) -}}
{{- $between = mul 3600 (trimPrefix "*/" (index $cron 1) | int) -}}
{{- end -}}
{{- coalesce (int .settings.maxAge) (int .root.Values.alerts.maxAge) (add $between 7200) -}}
{{- end -}}
