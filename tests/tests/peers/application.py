"""An application's own libraries: HOST USER PASSWORD."""
import email.message, email.policy, poplib, smtplib, ssl, sys
host, user, password = sys.argv[1:]
tls = ssl.create_default_context()
tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
message = email.message.EmailMessage(policy=email.policy.SMTPUTF8)
message["From"], message["To"], message["Subject"] = user, user, "Grüße"
message.set_content("ü\n.\n", cte="8bit")
message.add_attachment(bytes(range(256)), maintype="application", subtype="octet-stream", filename="ü")
smtp = smtplib.SMTP(host, 2587, timeout=60)
smtp.starttls(context=tls)
smtp.login(user, password)
for _ in range(3):
    assert smtp.send_message(message, mail_options=["SMTPUTF8", "BODY=8BITMIME"]) == {}
smtp.quit()
while True:
    pop = poplib.POP3(host, 2110, timeout=60)
    assert "STLS" in pop.capa(), pop.capa()
    pop.stls(context=tls)
    pop.user(user)
    pop.pass_(password)
    if pop.stat()[0] == 3:
        break
    pop.quit()
assert len(set(pop.uidl()[1])) == 3
assert any(line.startswith(b"Subject: ") for line in pop.top(1, 0)[1])
whole = b"\r\n".join(pop.retr(3)[1]) + b"\r\n"
read = email.message_from_bytes(whole, policy=email.policy.SMTPUTF8)
assert read["Subject"] == "Grüße", whole
assert read.get_body().get_content().splitlines() == ["ü", "."], whole
attachment, = read.iter_attachments()
assert attachment.get_content() == bytes(range(256)), whole
pop.dele(1)
pop.dele(2)
pop.rset()
pop.dele(3)
pop.quit()
pop = poplib.POP3_SSL(host, 2995, timeout=60, context=tls)
pop.user(user)
pop.pass_(password)
assert pop.stat()[0] == 2, pop.stat()
pop.quit()
