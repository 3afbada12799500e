"""Hands in numbered messages, each until it is accepted, until a file is there: SERVER USER PASSWORD TO STOP SECONDS.
Prints `ok NUMBER` for each, and `again NUMBER WHY` for each attempt that failed."""
import os, smtplib, ssl, sys, time
server, user, password, to, stop, seconds = sys.argv[1:]
tls = ssl.create_default_context()
tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
number = 0
while not os.path.exists(stop):
    number += 1
    text = f"From: {user}\r\nTo: {to}\r\nSubject: number {number}\r\n\r\n{'x' * 70}\r\n"
    while True:
        try:
            smtp = smtplib.SMTP_SSL(server, 465, timeout=float(seconds), context=tls)
            smtp.login(user, password)
            smtp.sendmail(user, [to], text)
            break
        except (OSError, smtplib.SMTPException) as error:
            print("again", number, repr(error), flush=True)
            time.sleep(0.2)
    print("ok", number, flush=True)
    try:
        smtp.quit()
    except (OSError, smtplib.SMTPException):
        pass
