SELECT key, owner, account, digest, entry, sealed FROM directory_entry ORDER BY key
