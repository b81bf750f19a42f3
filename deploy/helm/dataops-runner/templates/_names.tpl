{{/* Every object's name begins with this. */}}
{{- define "dataops-runner.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "dataops-runner.selector" -}}
app.kubernetes.io/name: {{ .Values.nameOverride | default .Chart.Name | quote }}
app.kubernetes.io/instance: {{ include "dataops-runner.fullname" . | quote }}
{{- end -}}

{{- define "dataops-runner.labels" -}}
{{ include "dataops-runner.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The image: a plain reference, or its parts (`image` is GitLab's word for repository). */}}
{{- define "dataops-runner.image" -}}
{{- $image := .Values.image -}}
{{- if kindIs "string" $image -}}
{{- $image -}}
{{- else -}}
{{- $registry := .Values.global.imageRegistry | default $image.registry -}}
{{- $name := $image.image | default $image.repository -}}
{{- if $registry }}{{ $name = printf "%s/%s" $registry $name }}{{ end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $name $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name ($image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Names of pull Secrets, as a JSON list. */}}
{{- define "dataops-runner.pullSecrets" -}}
{{- $names := list -}}
{{- range concat .Values.global.imagePullSecrets .Values.imagePullSecrets -}}
{{- $names = append $names (kindIs "string" . | ternary . (get (kindIs "string" . | ternary dict .) "name")) -}}
{{- end -}}
{{- $names | uniq | toJson -}}
{{- end -}}

{{- define "dataops-runner.makesAccount" -}}
{{- if and .Values.rbac.create .Values.serviceAccount.create }}yes{{ end -}}
{{- end -}}

{{- define "dataops-runner.account" -}}
{{- $name := .Values.rbac.serviceAccountName | default .Values.serviceAccount.name -}}
{{- if and (not $name) (include "dataops-runner.makesAccount" .) -}}
{{- $name = include "dataops-runner.fullname" . -}}
{{- end -}}
{{- if not $name -}}
{{- fail "no account for the controller: rbac.create (or serviceAccount.create) is false and rbac.serviceAccountName names none" -}}
{{- end -}}
{{- if eq $name "default" -}}
{{- fail "rbac.serviceAccountName: default is every pod's account; the controller's rights must not go to all of them" -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{- define "dataops-runner.makesJobAccount" -}}
{{- if and .Values.rbac.create .Values.jobs.serviceAccount.create }}yes{{ end -}}
{{- end -}}

{{/* "" leaves it to the namespace's default account, whose token is not mounted either. */}}
{{- define "dataops-runner.jobAccount" -}}
{{- $own := "" -}}
{{- if include "dataops-runner.makesJobAccount" . }}{{ $own = printf "%s-job" (include "dataops-runner.fullname" .) }}{{ end -}}
{{- .Values.jobs.serviceAccount.name | default $own -}}
{{- end -}}

{{/* Where jobs run: what runners.config says, else jobs.namespace, else the release's own. */}}
{{- define "dataops-runner.jobNamespace" -}}
{{- $table := include "dataops-runner.table" (dict "text" (tpl .Values.runners.config .) "header" "\\[runners\\.kubernetes\\]") -}}
{{- $line := regexFind "(?m)^[ \\t]*namespace[ \\t]*=[ \\t]*[\"'][^\"']*" $table -}}
{{- regexReplaceAll "^.*[\"']" $line "" | default .Values.jobs.namespace | default .Release.Namespace -}}
{{- end -}}

{{/* A line `namespace:` for what lives beside the jobs, unless that is the release's namespace. */}}
{{- define "dataops-runner.besideJobs" -}}
{{- $ns := include "dataops-runner.jobNamespace" . -}}
{{- if ne $ns .Release.Namespace }}namespace: {{ $ns }}{{ end -}}
{{- end -}}

{{- define "dataops-runner.tokenSecret" -}}
{{- .Values.runners.secret | default (printf "%s-token" (include "dataops-runner.fullname" .)) -}}
{{- end -}}

{{- define "dataops-runner.url" -}}
{{- .Values.dataopsUrl | default .Values.gitlabUrl | trimSuffix "/" -}}
{{- end -}}

{{/* The port that the controller reaches the platform at: of the url in runners.config, else of gitlabUrl. */}}
{{- define "dataops-runner.urlPort" -}}
{{- $table := include "dataops-runner.table" (dict "text" (tpl .Values.runners.config .) "header" "\\[\\[runners\\]\\]") -}}
{{- $line := regexFind "(?m)^[ \\t]*url[ \\t]*=[ \\t]*[\"'][^\"']*" $table -}}
{{- $url := regexReplaceAll "^.*[\"']" $line "" | default (include "dataops-runner.url" .) | urlParse -}}
{{- regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) | default (eq $url.scheme "http" | ternary "80" "443") -}}
{{- end -}}

{{- define "dataops-runner.agentName" -}}
{{- .Values.agentName | default .Values.runners.name | default .Release.Name -}}
{{- end -}}
