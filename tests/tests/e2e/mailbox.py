"""Prints the subject of each message of a mailbox: SERVER USER PASSWORD."""
import poplib, ssl, sys
server, user, password = sys.argv[1:]
tls = ssl.create_default_context()
tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
pop3 = poplib.POP3_SSL(server, 995, timeout=30, context=tls)
pop3.user(user)
pop3.pass_(password)
for number in range(1, pop3.stat()[0] + 1):
    for line in pop3.top(number, 0)[1]:
        if line.startswith(b"Subject: "):
            print(line[9:].decode())
pop3.quit()
