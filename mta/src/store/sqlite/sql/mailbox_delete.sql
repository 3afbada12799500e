DELETE FROM mailbox WHERE account = ?1
