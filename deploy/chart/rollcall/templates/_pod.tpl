{{/* The pod of all three modes. The reasons that are not here stand in deploy/base/deployment.yaml. */}}
{{- define "rollcall.pod" -}}
{{- $node := eq .Values.mode "node" }}
{{- $port := int (include "rollcall.dnsPort" .) }}
metadata:
  labels:
    {{- include "rollcall.selector" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: rollcall
    {{- if not .Values.configReload }}
    rollcall/config: {{ include "rollcall.toml" .Values.config | sha256sum }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "rollcall.account" . }}
  automountServiceAccountToken: true
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- if $node }}
  hostNetwork: true
  tolerations:
    - operator: Exists
  {{- else }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: {{ .Values.spread }}
      nodeTaintsPolicy: Honor
      matchLabelKeys: [pod-template-hash]
      labelSelector:
        matchLabels:
          {{- include "rollcall.selector" . | nindent 10 }}
    - maxSkew: 1
      topologyKey: topology.kubernetes.io/zone
      whenUnsatisfiable: ScheduleAnyway
      matchLabelKeys: [pod-template-hash]
      labelSelector:
        matchLabels:
          {{- include "rollcall.selector" . | nindent 10 }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  dnsPolicy: Default
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
    {{- if and (not $node) (lt $port 1024) }}
    sysctls:
      - name: net.ipv4.ip_unprivileged_port_start
        value: {{ $port | quote }}
    {{- end }}
  {{- if and $node .Values.node.interface.create }}
  initContainers:
    # Kept when the pod goes: the next one finds it, and the node's cache asks it at the same address.
    - name: address
      image: {{ .Values.node.interface.image }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      command:
        - sh
        - -ec
        - |
          if ip address show | grep -qF " $ADDRESS/"; then exit 0; fi
          # A kernel without dummy interfaces has the loopback's.
          ip link show dev "$INTERFACE" >/dev/null 2>&1 || ip link add "$INTERFACE" type dummy || INTERFACE=lo
          ip link set dev "$INTERFACE" up
          ip address add "$ADDRESS/32" dev "$INTERFACE"
      env:
        - name: INTERFACE
          value: {{ .Values.node.interface.name }}
        - name: ADDRESS
          value: {{ .Values.node.address }}
      securityContext:
        runAsUser: 0
        runAsGroup: 0
        runAsNonRoot: false
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
          add: [NET_ADMIN]
      resources:
        requests: {cpu: 10m, memory: 8Mi}
        limits: {memory: 32Mi}
  {{- end }}
  containers:
    - name: rollcall
      image: {{ include "rollcall.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [serve, --config, /etc/rollcall/rollcall.toml]
      env:
        - name: ROLLCALL_ADMIN
          value: {{ printf ":%s" (include "rollcall.adminPort" .) | quote }}
        - name: ROLLCALL_IDENTITY
          valueFrom:
            fieldRef:
              fieldPath: {{ if $node }}spec.nodeName{{ else }}metadata.name{{ end }}
        {{- if $node }}
        - name: ROLLCALL_LISTEN
          value: {{ printf "%s:%d" .Values.node.address $port | quote }}
        {{- else if and (ne $port 53) (not .Values.config.listen) }}
        - name: ROLLCALL_LISTEN
          value: {{ printf "0.0.0.0:%d,[::]:%d" $port $port | quote }}
        {{- end }}
        {{- if eq .Values.mode "namespace" }}
        - name: ROLLCALL_SOURCE_NAMESPACES
          value: {{ include "rollcall.namespaces" . | fromJsonArray | join "," | quote }}
        {{- end }}
        {{- if .Values.snapshot.enabled }}
        - name: ROLLCALL_SNAPSHOT_PATH
          value: /var/lib/rollcall/snapshot
        {{- end }}
        {{- with .Values.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - name: dns
          containerPort: {{ $port }}
          protocol: UDP
        - name: dns-tcp
          containerPort: {{ $port }}
          protocol: TCP
        - name: admin
          containerPort: {{ include "rollcall.adminPort" . }}
          protocol: TCP
        {{- range .Values.extraPorts }}
        - name: {{ .name }}
          containerPort: {{ .port }}
          protocol: {{ .protocol }}
        {{- end }}
      startupProbe:
        httpGet: {path: /livez, port: admin}
        {{- toYaml .Values.probes.startup | nindent 8 }}
      livenessProbe:
        httpGet: {path: /livez, port: admin}
        {{- toYaml .Values.probes.liveness | nindent 8 }}
      readinessProbe:
        httpGet: {path: /readyz, port: admin}
        {{- toYaml .Values.probes.readiness | nindent 8 }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      volumeMounts:
        - name: config
          mountPath: /etc/rollcall
          readOnly: true
        {{- if .Values.snapshot.enabled }}
        - name: snapshot
          mountPath: /var/lib/rollcall
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ include "rollcall.fullname" . }}
    {{- if .Values.snapshot.enabled }}
    - name: snapshot
      {{- default (dict "emptyDir" (dict "sizeLimit" "256Mi")) .Values.snapshot.volume | toYaml | nindent 6 }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
