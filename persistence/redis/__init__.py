"""The store on Redis: one server, Sentinels, or a Cluster. Nothing else imports redis."""
