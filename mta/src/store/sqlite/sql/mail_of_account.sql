SELECT mail.mailbox, mail.uid, mail.message
FROM mailbox JOIN mail ON mail.mailbox = mailbox.id
WHERE mailbox.account = ?1
LIMIT ?2
