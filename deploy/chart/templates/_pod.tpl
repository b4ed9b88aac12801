{{/*
The pod of a backup or a restore. Called with a dict:
  root       the chart's context
  settings   what a schedule sets by itself
  args       the program's arguments
  volumes    the claims to mount
  identity   the Secret with the private key, if the pod is to have it
  shards     how many share the work
*/}}
{{- define "chupacabra.pod" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
{{- $settings := .settings -}}
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
  {{- if $values.readAllFiles }}
  runAsNonRoot: false
  runAsUser: 0
  runAsGroup: 0
  {{- else }}
  runAsNonRoot: true
  runAsUser: {{ $values.user.id }}
  runAsGroup: {{ $values.user.group }}
  {{- end }}
  {{- if hasKey $values.user "fsGroup" }}
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
        {{- if $values.readAllFiles }}
        add: [DAC_READ_SEARCH]
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
      - name: volume-{{ .name }}
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
  - name: volume-{{ .name }}
    persistentVolumeClaim:
      claimName: {{ .claim }}
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

{{/* The claims as they are mounted: `readOnly` filled in. Called with a dict: volumes, only (names or nothing). */}}
{{- define "chupacabra.claims" -}}
{{- $claims := list -}}
{{- $only := .only -}}
{{- range .volumes -}}
{{- if or (not $only) (has .name $only) -}}
{{- $readOnly := true -}}
{{- if hasKey . "readOnly" -}}{{- $readOnly = .readOnly -}}{{- end -}}
{{- $claims = append $claims (merge (dict "readOnly" $readOnly) .) -}}
{{- end -}}
{{- end -}}
{{ toJson $claims }}
{{- end -}}
