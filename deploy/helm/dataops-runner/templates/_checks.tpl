{{/* What the schema cannot say in words, and keys that nobody here knows. */}}
{{- define "dataops-runner.unknown" -}}
{{- $known := list "nameOverride" "fullnameOverride" "commonLabels" "strictValues" "global" "replicas" "replicaCount" "image"
    "imagePullSecrets" "gitlabUrl" "dataopsUrl" "runnerToken" "runnerRegistrationToken" "agentTag" "agentName" "concurrent" "checkInterval"
    "logLevel" "logFormat" "shutdownTimeout" "terminationGracePeriodSeconds" "certsSecretName" "vaultSecret" "vault" "runners" "jobs"
    "agentCache" "localConfig" "rbac" "serviceAccount" "podSecurityContext" "securityContext" "resources" "strategy"
    "revisionHistoryLimit" "affinity" "nodeSelector" "tolerations" "topologySpreadConstraints" "priorityClassName" "hostAliases" "podLabels"
    "podAnnotations" "extraEnv" "volumes" "volumeMounts" "probes" "metrics" "networkPolicy" "maximumTimeout" -}}
{{- $unknown := list -}}
{{- range $key, $_ := .Values }}{{ if not (has $key $known) }}{{ $unknown = append $unknown $key }}{{ end }}{{ end -}}
{{- join ", " $unknown -}}
{{- end -}}

{{/* Keys of networkPolicy that somebody set although the policy is off. */}}
{{- define "dataops-runner.idlePolicy" -}}
{{- $idle := list -}}
{{- if not .Values.networkPolicy.enabled -}}
{{- range list "metricsFrom" "probeCidrs" "dnsTo" "dataopsCidrs" "apiServerCidrs" "extraEgress" }}{{ if get $.Values.networkPolicy . }}{{ $idle = append $idle . }}{{ end }}{{ end -}}
{{- end -}}
{{- join ", " $idle -}}
{{- end -}}

{{- define "dataops-runner.checks" -}}
{{- if and .Values.vault .Values.vaultSecret }}{{ fail "vault and vaultSecret exclude each other: the vault's content is given here, or in a Secret" }}{{ end -}}
{{- if .Values.vault }}{{ fail "vault: this version takes the vault from a Secret only: put vault.yml and vault.salt into one and name it in vaultSecret" }}{{ end -}}
{{- $tokens := list -}}
{{- range list "runnerToken" "runnerRegistrationToken" }}{{ if get $.Values . }}{{ $tokens = append $tokens . }}{{ end }}{{ end -}}
{{- if .Values.runners.secret }}{{ $tokens = append $tokens "runners.secret" }}{{ end -}}
{{- if gt (len $tokens) 1 }}{{ fail (printf "%s: one of them, not both" (join " and " $tokens)) }}{{ end -}}
{{- if and .Values.strictValues (include "dataops-runner.unknown" .) }}{{ fail (printf "unknown values: %s" (include "dataops-runner.unknown" .)) }}{{ end -}}
{{- end -}}
