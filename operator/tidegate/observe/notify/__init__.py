"""Messages to people about what becomes of Rollouts, set up as Argo Rollouts' users already have it.

`settings` reads the ConfigMap and the Secret, `occasions` and `deciding` settle what is to be said to whom, `messages`
words it, `services` makes requests of it, all of them pure; `courier` sends, and remembers on the Rollout what was
sent.
"""
