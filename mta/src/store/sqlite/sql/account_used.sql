SELECT used_bytes FROM account WHERE id = ?1
