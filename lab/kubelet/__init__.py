"""The lab's kubelet: it runs every pod of the cluster as local processes with the pod's own address.

It keeps the rules that progressive delivery depends on (readiness, gates, bad images, crashes, Jobs, leaving the
endpoints before stopping), and none of the rest. It binds pods itself, so the lab needs no scheduler.
Of the kubelet's own API it serves forwarded ports and logs.
"""
