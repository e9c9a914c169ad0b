{{- define "cx.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "cx.labels" -}}
app.kubernetes.io/name: cx-signals
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "cx.selector" -}}
app.kubernetes.io/name: cx-signals
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "cx.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- /* Nothing to write, no rights, no root: what a container of ours may do. */ -}}
{{- define "cx.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "cx.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "cx.env" -}}
{{- range $name, $value := .Values.settings }}
{{- /* Helm reads every number as a float: 1e+06 is no whole number to cx. */}}
- name: CX_{{ $name | upper }}
  value: {{ ternary (printf "%v" ($value | int64)) (printf "%v" $value) (and (kindIs "float64" $value) (eq ($value | float64) (floor $value))) | quote }}
{{- end }}
- name: CX_DATA_DIR
  value: /tmp/cx
- name: CX_METRICS_HOST
  value: 0.0.0.0
{{- if .Values.policy }}
- name: CX_POLICY
  value: /etc/cx/config/policy.toml
{{- end }}
{{- end -}}

{{- define "cx.mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: secrets, mountPath: /etc/cx/secrets, readOnly: true}
- {name: config, mountPath: /etc/cx/config, readOnly: true}
{{- end -}}

{{- define "cx.volumes" -}}
- name: tmp
  emptyDir: {}
- name: secrets
  secret: {secretName: {{ .Values.secretName }}, defaultMode: 0440}
- name: config
  configMap: {name: {{ include "cx.name" . }}-config}
{{- end -}}

{{- define "cx.probes" -}}
# Alive from the first second, ready when every partition is recovered.
livenessProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
  initialDelaySeconds: 20
readinessProbe:
  httpGet: {path: /readyz, port: metrics}
  periodSeconds: 5
  timeoutSeconds: 5
{{- end -}}
