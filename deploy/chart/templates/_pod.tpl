{{/*
The pod of a backup or a restore. Called with a dict:
  root       the chart's context
  settings   what a schedule sets by itself
  args       the program's arguments
  volumes    the claims to mount
  identity   the Secret with the private key, if the pod is to have it
  shards     how many share the work
  rights     capabilities for which it runs as root; none: it runs as `user`
*/}}
{{- define "chupacabra.pod" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
{{- $settings := .settings -}}
{{- /* Who may write everywhere needs no group for it, and gives a target's files to none. */}}
{{- $group := and (hasKey $values.user "fsGroup") (not (has "DAC_OVERRIDE" (default list .rights))) -}}
{{- $mounts := list (dict "path" "/etc/chupacabra" "what" "the configuration") -}}
{{- range $values.secrets.files -}}
{{- $mounts = append $mounts (dict "path" .path "what" (printf "the Secret %s (secrets.files)" .secret)) -}}
{{- end -}}
{{- if .identity -}}
{{- $mounts = append $mounts (dict "path" "/run/identity" "what" "the private key of a restore") -}}
{{- end -}}
{{- range .volumes -}}
{{- $mounts = append $mounts (dict "path" .path "what" (printf "the volume %s" .name)) -}}
{{- end -}}
{{- include "chupacabra.paths" (dict "mounts" $mounts) -}}
restartPolicy: Never
serviceAccountName: {{ include "chupacabra.serviceAccount" $root }}
automountServiceAccountToken: {{ $values.serviceAccount.automountToken }}
enableServiceLinks: false
terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
{{- with $values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
securityContext:
  {{- if .rights }}
  runAsNonRoot: false
  runAsUser: 0
  runAsGroup: 0
  {{- else }}
  runAsNonRoot: true
  runAsUser: {{ $values.user.id }}
  runAsGroup: {{ $values.user.group }}
  {{- end }}
  {{- if $group }}
  fsGroup: {{ $values.user.fsGroup }}
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  {{- with $values.user.supplementalGroups }}
  supplementalGroups: {{ toJson . }}
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
containers:
  - name: chupacabra
    image: {{ include "chupacabra.image" $root | quote }}
    imagePullPolicy: {{ $values.image.pullPolicy }}
    args: {{ toJson .args }}
    env:
      {{- if ne $values.mesh "none" }}
      - name: CHUPACABRA_MESH
        value: {{ $values.mesh }}
      {{- end }}
      {{- if gt (int .shards) 1 }}
      - name: CHUPACABRA_JOB
        valueFrom:
          fieldRef:
            fieldPath: metadata.labels['batch.kubernetes.io/job-name']
      {{- end }}
      {{- range $values.secrets.env }}
      - name: {{ .name }}
        valueFrom:
          secretKeyRef:
            name: {{ .secret }}
            key: {{ .key }}
      {{- end }}
      {{- range $values.env }}
      - name: {{ .name }}
        value: {{ .value | quote }}
      {{- end }}
      # Where the program looks for its configuration.
      - name: CHUPACABRA_CONFIG
        value: /etc/chupacabra/config.yaml
    {{- with $values.secrets.envFrom }}
    envFrom:
      {{- range . }}
      - secretRef:
          name: {{ . }}
      {{- end }}
    {{- end }}
    # The last lines of the log are the pod's message, so that `kubectl describe` says why a run failed.
    terminationMessagePolicy: FallbackToLogsOnError
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities:
        drop: [ALL]
        {{- with .rights }}
        add: {{ toJson . }}
        {{- end }}
    {{- with default $values.resources $settings.resources }}
    resources:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    volumeMounts:
      - name: config
        mountPath: /etc/chupacabra
        readOnly: true
      {{- range $index, $files := $values.secrets.files }}
      - name: secret-{{ $index }}
        mountPath: {{ $files.path | quote }}
        readOnly: true
      {{- end }}
      {{- if .identity }}
      - name: identity
        mountPath: /run/identity
        readOnly: true
      {{- end }}
      {{- range .volumes }}
      - name: volume-{{ .volume }}
        mountPath: {{ .path | quote }}
        {{- with .subPath }}
        subPath: {{ . | quote }}
        {{- end }}
        readOnly: {{ .readOnly }}
      {{- end }}
volumes:
  - name: config
    configMap:
      name: {{ default (include "chupacabra.fullname" $root) $values.existingConfigMap }}
  {{- range $index, $files := $values.secrets.files }}
  - name: secret-{{ $index }}
    secret:
      secretName: {{ $files.secret }}
  {{- end }}
  {{- if .identity }}
  - name: identity
    secret:
      secretName: {{ .identity }}
  {{- end }}
  {{- range .volumes }}
  {{- if eq .volume .name }}
  - name: volume-{{ .name }}
    persistentVolumeClaim:
      claimName: {{ .claim }}
      {{- if and $group .source }}
      # Or else the kubelet gives all files of the source to fsGroup, and lets that group write.
      readOnly: true
      {{- end }}
  {{- end }}
  {{- end }}
{{- with default $values.nodeSelector $settings.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with default $values.tolerations $settings.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with default $values.affinity $settings.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/*
The claims as they are mounted: `readOnly` filled in; `volume`, the name of the pod's volume, which is one for each
claim, because a pod that has the same claim in two of them never starts; `source`, if nothing is written to the claim.
Called with a dict: volumes, only (a list of names, or nothing: all), writable (what is mounted besides, with its own
default).
*/}}
{{- define "chupacabra.claims" -}}
{{- $claims := list -}}
{{- $only := .only -}}
{{- range .volumes -}}
{{- if or (not (kindIs "slice" $only)) (has .name $only) -}}
{{- $claims = append $claims (merge (dict "readOnly" (ternary .readOnly true (hasKey . "readOnly"))) .) -}}
{{- end -}}
{{- end -}}
{{- range .writable -}}
{{- $claims = append $claims (merge (dict "readOnly" (ternary .readOnly false (hasKey . "readOnly"))) .) -}}
{{- end -}}
{{- $volumes := dict -}}
{{- $written := dict -}}
{{- range $claims -}}
{{- if not (hasKey $volumes .claim) -}}
{{- $_ := set $volumes .claim .name -}}
{{- end -}}
{{- if not .readOnly -}}
{{- $_ := set $written .claim true -}}
{{- end -}}
{{- end -}}
{{- $mounted := list -}}
{{- range $claims -}}
{{- $more := dict "volume" (get $volumes .claim) "source" (not (hasKey $written .claim)) -}}
{{- $mounted = append $mounted (merge $more .) -}}
{{- end -}}
{{ toJson $mounted }}
{{- end -}}
