SELECT uid_validity FROM mailbox_gone WHERE account = ?1 AND name = ?2
