SELECT copy_fields, message FROM mail WHERE mailbox = ?1 AND uid = ?2
