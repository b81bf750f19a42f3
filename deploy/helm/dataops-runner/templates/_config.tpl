{{/*
config.toml is the text of runners.config with what it leaves out put in: helm cannot parse TOML (before 3.22), so this
looks for lines, and what the text says always wins.
*/}}

{{/* (dict "text" "header"): the lines of one table, from its header (a pattern) to the next one. */}}
{{- define "dataops-runner.table" -}}
{{- regexFind (printf "(?ms)^[ \\t]*%s[ \\t]*(#[^\\n]*)?$.*?(^[ \\t]*\\[|\\z)" .header) .text -}}
{{- end -}}

{{/* (dict "table" "key" "value"): one line, unless the table has the key or there is no value. */}}
{{- define "dataops-runner.line" -}}
{{- $set := regexMatch (printf "(?m)^[ \\t]*%s[ \\t]*=" .key) .table -}}
{{- if and (not $set) (not (empty .value)) }}
    {{ .key }} = {{ toJson .value }}
{{- end -}}
{{- end -}}

{{/* A value as it was written: helm reads every number as a float, and 1000000 would become 1e+06. */}}
{{- define "dataops-runner.plain" -}}
{{- if kindIs "float64" . }}{{ eq . (floor .) | ternary (int64 . | toString) (toString .) }}{{ else }}{{ toString . }}{{ end -}}
{{- end -}}

{{/* (dict "text" "path"): whether the text mounts something there itself. */}}
{{- define "dataops-runner.mounts" -}}
{{- $path := regexQuoteMeta .path -}}
{{- if or (regexMatch (printf "mount_path[ \\t]*=[ \\t]*[\"']%s/?[\"']" $path) .text) (regexMatch (printf ":%s/?(:[a-zA-Z,]+)?[\"']" $path) .text) }}yes{{ end -}}
{{- end -}}

{{- define "dataops-runner.vaultVolume" }}

    [[runners.kubernetes.volumes.secret]]
      name = {{ .Values.vaultSecret | default "dataops-vault" | toJson }}
      mount_path = "/secrets"
      read_only = true
{{- if not .Values.vaultSecret }}
      optional = true
{{- end }}
{{- end }}

{{- define "dataops-runner.cacheVolume" }}

    [[runners.kubernetes.volumes.pvc]]
      name = {{ .Values.agentCache.existingClaim | default (printf "%s-agent-cache" (include "dataops-runner.fullname" .)) | toJson }}
      mount_path = {{ .Values.agentCache.mountPath | toJson }}
{{- with .Values.agentCache.subPath }}
      sub_path = {{ toJson . }}
{{- end }}
{{- end }}

{{- define "dataops-runner.localConfigVolume" }}
{{- $local := .Values.localConfig }}
{{- $kinds := dict "emptyDir" "empty_dir" "existingClaim" "pvc" "configMap" "config_map" "hostPath" "host_path" }}

    [[runners.kubernetes.volumes.{{ get $kinds $local.type }}]]
{{- if eq $local.type "emptyDir" }}
      name = "local-config"
{{- else if eq $local.type "hostPath" }}
      name = "local-config"
      host_path = {{ required "localConfig.hostPath: a folder of the node" $local.hostPath | toJson }}
{{- else }}
      name = {{ required (printf "localConfig.%s: a name" $local.type) (get $local $local.type) | toJson }}
{{- end }}
      mount_path = {{ $local.mountPath | toJson }}
{{- end }}

{{/* A table of texts, unless the text has one of this name. (dict "text" "name" "values") */}}
{{- define "dataops-runner.pairs" -}}
{{- if and .values (not (regexMatch (printf "(?m)^[ \\t]*\\[runners\\.kubernetes\\.%s\\]" .name) .text)) }}

    [runners.kubernetes.{{ .name }}]
{{- range $key, $value := .values }}
      {{ toJson $key }} = {{ toString $value | toJson }}
{{- end }}
{{- end -}}
{{- end -}}

{{- define "dataops-runner.globals" -}}
{{- $defaults := dict "concurrent" .Values.concurrent "check_interval" .Values.checkInterval "log_level" .Values.logLevel
    "log_format" .Values.logFormat "shutdown_timeout" .Values.shutdownTimeout "listen_address" (printf ":%v" .Values.metrics.port) -}}
{{- $text := .text -}}
{{- range $key := list "concurrent" "check_interval" "log_level" "log_format" "shutdown_timeout" "listen_address" }}
{{ regexFind (printf "(?m)^[ \\t]*%s[ \\t]*=.*$" $key) $text | trim | default (printf "%s = %s" $key (toJson (get $defaults $key))) }}
{{- end -}}
{{- end -}}

{{- define "dataops-runner.runnerLines" -}}
{{- $url := include "dataops-runner.url" . -}}
{{- $table := .table -}}
{{- $lines := list
    (list "name" (include "dataops-runner.agentName" .))
    (list "url" $url)
    (list "token_file" "/etc/dataops-runner/token/runner-token")
    (list "executor" "kubernetes")
    (list "tls-ca-file" (empty .Values.certsSecretName | ternary "" (printf "/etc/dataops-runner/certs/%s.crt" (urlParse $url).hostname)))
-}}
{{- if .Values.jobs.env -}}
{{- $environment := list -}}
{{- range $key, $value := .Values.jobs.env }}{{ $environment = append $environment (printf "%s=%s" $key (include "dataops-runner.plain" $value)) }}{{ end -}}
{{- $lines = append $lines (list "environment" $environment) -}}
{{- end -}}
{{- range $lines }}{{ include "dataops-runner.line" (dict "table" $table "key" (index . 0) "value" (index . 1)) }}{{ end -}}
{{- end -}}

{{- define "dataops-runner.kubernetesLines" -}}
{{- $jobs := .Values.jobs -}}
{{- $table := .table -}}
{{- $timeout := int (.Values.runners.maximumTimeout | default .Values.maximumTimeout | default 0) -}}
{{- $start := int $jobs.startTimeoutSeconds -}}
{{- if and (gt $timeout 0) (lt $timeout 600) }}{{ $start = $timeout }}{{ end -}}
{{- $requests := $jobs.resources.requests | default dict -}}
{{- $limits := $jobs.resources.limits | default dict -}}
{{- range list
    (list "namespace" $jobs.namespace)
    (list "image" $jobs.image)
    (list "helper_image" ($jobs.helperImage | default (include "dataops-runner.image" .)))
    (list "pull_policy" (get (dict "Always" "always" "IfNotPresent" "if-not-present" "Never" "never") $jobs.pullPolicy | default $jobs.pullPolicy))
    (list "service_account" (include "dataops-runner.jobAccount" .))
    (list "image_pull_secrets" (include "dataops-runner.pullSecrets" . | fromJsonArray))
    (list "poll_timeout" $start)
    (list "cpu_request" (include "dataops-runner.plain" ($requests.cpu | default "")))
    (list "memory_request" (include "dataops-runner.plain" ($requests.memory | default "")))
    (list "cpu_limit" (include "dataops-runner.plain" ($limits.cpu | default "")))
    (list "memory_limit" (include "dataops-runner.plain" ($limits.memory | default "")))
-}}
{{- include "dataops-runner.line" (dict "table" $table "key" (index . 0) "value" (index . 1)) -}}
{{- end -}}
{{- end -}}

{{- define "dataops-runner.config" -}}
{{- $given := tpl .Values.runners.config . -}}
{{- $text := regexReplaceAll "(?m)^[ \\t]*(concurrent|check_interval|log_level|log_format|shutdown_timeout|listen_address)[ \\t]*=.*\\n?" $given "" -}}
{{- $entry := "(?m)^[ \\t]*\\[\\[runners\\]\\][ \\t]*(#.*)?$" -}}
{{- $pod := "(?m)^[ \\t]*\\[runners\\.kubernetes\\][ \\t]*(#.*)?$" -}}
{{- if gt (len (regexFindAll $entry $text -1)) 1 }}{{ fail "runners.config: more than one [[runners]]; install one release per runner" }}{{ end -}}
{{- if not (regexMatch $entry $text) }}{{ $text = printf "[[runners]]\n%s" $text }}{{ end -}}
{{- if not (regexMatch $pod $text) }}{{ $text = printf "%s\n  [runners.kubernetes]\n" (trimSuffix "\n" $text) }}{{ end -}}
{{- $context := merge (dict "text" $given "table" (include "dataops-runner.table" (dict "text" $text "header" "\\[\\[runners\\]\\]"))) . -}}
{{- $runner := include "dataops-runner.runnerLines" $context -}}
{{- $context := merge (dict "text" $given "table" (include "dataops-runner.table" (dict "text" $text "header" "\\[runners\\.kubernetes\\]"))) . -}}
{{- $kubernetes := include "dataops-runner.kubernetesLines" $context -}}
{{- include "dataops-runner.globals" $context | trim }}

{{ $text = regexReplaceAllLiteral $entry $text (printf "[[runners]]%s" (replace "\n    " "\n  " $runner)) -}}
{{- $text = regexReplaceAllLiteral $pod $text (printf "  [runners.kubernetes]%s" $kubernetes) -}}
{{- $text | trim -}}
{{- range $name, $values := dict "node_selector" .Values.jobs.nodeSelector "pod_labels" .Values.jobs.podLabels "pod_annotations" .Values.jobs.podAnnotations -}}
{{- include "dataops-runner.pairs" (dict "text" $text "name" $name "values" $values) -}}
{{- end -}}
{{- if not (include "dataops-runner.mounts" (dict "text" $text "path" "/secrets")) }}{{ include "dataops-runner.vaultVolume" . }}{{ end -}}
{{- if include "dataops-runner.usesCache" . }}{{ include "dataops-runner.cacheVolume" . }}{{ end -}}
{{- if and .Values.localConfig.enabled (not (include "dataops-runner.mounts" (dict "text" $text "path" .Values.localConfig.mountPath))) }}
{{- include "dataops-runner.localConfigVolume" . }}
{{- end }}
{{- end -}}

{{/* The chart mounts the cache: it is on and runners.config has nothing there. */}}
{{- define "dataops-runner.usesCache" -}}
{{- $text := tpl .Values.runners.config . -}}
{{- if and .Values.agentCache.enabled (not (include "dataops-runner.mounts" (dict "text" $text "path" .Values.agentCache.mountPath))) }}yes{{ end -}}
{{- end -}}
