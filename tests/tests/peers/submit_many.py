"""Hands in messages in one session, a number as subject each: HOST USER PASSWORD TO FIRST END."""
import smtplib, ssl, sys
host, user, password, to, first, end = sys.argv[1:]
tls = ssl.create_default_context()
tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
smtp = smtplib.SMTP_SSL(host, 2465, timeout=60, context=tls)
smtp.login(user, password)
for number in range(int(first), int(end)):
    smtp.sendmail(user, [to], f"From: {user}\r\nTo: {to}\r\nSubject: {number}\r\n\r\nx\r\n")
smtp.quit()
