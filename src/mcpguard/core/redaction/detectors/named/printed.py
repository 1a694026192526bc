"""What programs print and what code calls in which a certain place has nothing but a password.

Law of this file: that of `programs`, whose entries these are like.
"""

from mcpguard.core.redaction.detectors.named.programs import ProgramPasswords
from mcpguard.core.redaction.detectors.named.values import ENDS

_WORD = r"[^\s\x00-\x1f\xff]"
_LISTS = tuple(f"{quote}{mark}[" for quote in ('"', "'", "") for mark in (": ", ":", " = ", "="))
_NAME = r"[A-Za-z0-9][\w.@+-]{0,63}"
_TEXT = r"""[\"'][^\"'\x00-\x1f\xff]{1,256}[\"']"""
_QUOTED = rf"(?:{_TEXT}|[\w$>:.()-]{{1,64}})"
_NEXT = r"\s{0,4},\s{0,32}"
_DIGIT = r"(?=[^\s0-9\x00-\x1f\xff]{0,64}[0-9])"
_UUID = r"(?=[0-9a-f]{8}-[0-9a-f]{4}-)"

_LABEL = (
    r"[^\"'\x00-\x1f\xff]{0,48}(?:[Pp]assword|[Pp]asscode|[Pp]assphrase|[Tt]oken|[Ss]ecret|PI [Kk]ey"
    r"|asswort|ennwort|ontraseña|[Ss]enha|ot de passe)[^\"'\x00-\x1f\xff]{0,24}"
)
"""What a field of a form is called."""
_STATE = r"(?: \[[a-z]{1,12}(?:=[\w-]{1,12})?\])"

PRINTED: tuple[ProgramPasswords, ...] = (
    ProgramPasswords(
        (
            *("DBI->connect(", "mysqli_connect(", "mysqli_real_connect(", "mysql_connect(", "odbc_connect("),
            *("new mysqli(", "new PDO(", "getConnection(", "database("),
        ),
        rf"\s{{0,32}}{_QUOTED}{_NEXT}{_QUOTED}{_NEXT}[\"']",
        (
            'DBI->connect("DBI:mysql:shop", "app", "{}")',
            "mysqli_connect($host, 'root', '{}', 'shop')",
            'DriverManager.getConnection("jdbc:postgresql://h/x", "app", "{}");',
        ),
        ('getConnection("jdbc:postgresql://h/x", user, password)', 'new PDO("mysql:host=x")'),
    ),
    ProgramPasswords(
        (
            *("auth=(", "BasicAuth(", "basic_auth(", "basicAuth(", "DigestAuth(", "oci_connect("),
            *("PasswordAuthentication(", "PasswordCredential(", "NetworkCredential("),
        ),
        rf"\s{{0,32}}{_QUOTED}{_NEXT}[\"']",
        (
            "requests.get(url, auth=('bob', '{}'))",
            'req.SetBasicAuth("bob", "{}")',
            'new NetworkCredential("bob", "{}")',
        ),
        ("requests.get(url, auth=('bob', password))", "BasicAuth('bob')"),
    ),
    ProgramPasswords(
        ("db.auth(",),
        rf"\s{{0,32}}{_QUOTED}{_NEXT}[\"']",
        ('db.auth("bob", "{}")',),
        ("db.auth(user, password)",),
    ),
    ProgramPasswords(
        tuple(f"{name}{mark}" for name in ("auth", "credentials", "basicAuth") for mark in _LISTS),
        rf"\s{{0,64}}{_TEXT}{_NEXT}[\"']{_DIGIT}(?=[^\"'\x00-\x1f]{{4,256}}[\"']\s{{0,64}}\])",
        (),
        ('{"auth": ["basic", "digest"]}', "auth = ['a', 'b', 'c3']"),
    ),
    ProgramPasswords(
        ("red:auth(", "redis.auth(", "client.auth("),
        r"[\"'](?=[^\"'\x00-\x1f\xff]{4,256}[\"']\))",
        ('red:auth("{}")', "client.auth('{}')"),
        ("red:auth(password)", 'client.auth("a", "b")'),
    ),
    ProgramPasswords(
        ('"AUTH" ',),
        rf"\"(?:{_NAME}\" \")?(?={_WORD}{{4,256}}\"(?:\s|{ENDS}))",
        ('[0 127.0.0.1:1] "AUTH" "{}"', '"AUTH" "app" "{}"'),
        ('"AUTH" "LOGIN PLAIN"',),
    ),
    ProgramPasswords(
        ("AUTH PLAIN ", "AUTH=PLAIN "),
        rf"(?=[A-Za-z0-9+/]{{12,512}}={{0,2}}(?:\s|{ENDS}))",
        (),
        ("AUTH PLAIN LOGIN",),
    ),
    ProgramPasswords(
        (" LOGIN ",),
        rf'"?{_NAME}"? "?{_DIGIT.replace("0-9", "<0-9", 1)}(?={_WORD}{{4,128}}{ENDS})',
        (),
        ("a1 LOGIN bob", "the LOGIN page of {}", "5. The LOGIN authentication mechanism</h3>"),
    ),
    ProgramPasswords(
        ("USER ", "User "),
        rf"{_WORD}{{1,128}}\r?\n(?:[^\n\x00-\x08\x0e-\x1f\xff]{{0,160}}\n){{0,3}}"
        rf"(?:[<>-]{{1,3}} |C: )?P(?:ASS|ass) (?={_WORD}{{4,128}}{ENDS})",
        ("USER bob\r\nPASS {}\r\n", "> USER bob\n< 331 which?\n> PASS {}\n"),
        ("\nPASS packages/a1/b.spec.jsx\n", "\nPASS test_2.py::test_x1\n", "USER app\nRUN x\n"),
    ),
    ProgramPasswords(
        ("IDENTIFY ",),
        rf"(?:{_NAME} )?(?:(?<=Serv IDENTIFY )|{_DIGIT})(?={_WORD}{{4,128}}(?:;|{ENDS}))",
        ("/msg NickServ IDENTIFY {}\n",),
        ("how to IDENTIFY a bird by its song", "Sends the IDENTIFY packet."),
    ),
    ProgramPasswords(
        ("addauth digest ",),
        rf"{_NAME}:",
        ("addauth digest super:{}\n",),
        ("addauth digest super",),
    ),
    ProgramPasswords(
        ("SET PASSWORD ", "set password "),
        r"(?:(?:(?:FOR|for) [^\s=]{1,80} {0,2})?= {0,2}(?:PASSWORD\()?|FROM '[^'\x00-\x1f]{1,128}' TO )['\"]",
        (
            "SET PASSWORD FOR 'app'@'%' = PASSWORD('{}');",
            "SET PASSWORD FROM 'a' TO '{}'",
        ),
        ("SET PASSWORD FOR app TO RANDOM",),
    ),
    ProgramPasswords(
        ("PASSWORD ",),
        r"[a-z_]{2,24} = ",
        ("PASSWORD elastic = {}\n",),
        ("PASSWORD elastic = <password>",),
    ),
    ProgramPasswords(
        ("temporary password is generated for ", "emporary password for "),
        rf"{_WORD}{{1,128}}: ",
        ("A temporary password is generated for root@localhost: {}\n", "Temporary password for bob: {}"),
        ("a temporary password for bob",),
    ),
    ProgramPasswords(
        (" user_", "\tuser_"),
        r"[A-Za-z0-9]{1,32}=\"(?=[^\"\s\x00-\x1f\xff]{4,128}\"(?:;|\s{1,16}user_))",
        ('KafkaServer {{ user_admin="{}"; }}',),
        ('a user_name="x" of', 'user_id="{}"'),
    ),
    ProgramPasswords(
        ("Key Content ",),
        r"[ ]{0,24}: ",
        ("    Key Content            : {}\n",),
        ("the Key Content of it",),
    ),
    ProgramPasswords(
        (": XAUTH ", ": EAP ", ": PSK "),
        rf"{_DIGIT}(?={_WORD}{{4,128}}{ENDS})",
        (),
        (": PSK key of the site 12",),
    ),
    ProgramPasswords(
        (" /pass:", " /password:", " /rp ", " /PASS:", " /Password:"),
        r"['\"]?",
        ("cmdkey /add:srv /user:bob /pass:{}", "schtasks /create /ru bob /rp {} /tr y"),
        ("cmdkey /pass:%PW%", "schtasks /ru bob /rp * /tr y"),
    ),
    ProgramPasswords(
        ("psexec", "PsExec", "remote login ", "evil-winrm ", "crackmapexec ", "netexec ", "nxc "),
        rf"(?:[^\n\r|;&\x00-\x08\x0b-\x1f\xff]{{0,240}}?[ \t])?-p {_DIGIT}['\"]?",
        (),
        ("psexec \\\\srv -u bob cmd", "conan remote login r bob -p"),
    ),
    ProgramPasswords(
        ("net use ",),
        rf"{_WORD}{{1,80}} (?:{_WORD}{{1,160}} )?/(?:user|USER):{_WORD}{{1,64}} (?={_WORD}{{4,64}}{ENDS})",
        ("net use Z: \\\\srv\\s /user:bob {}\n",),
        ("net use Z: \\\\srv\\s /user:bob",),
    ),
    ProgramPasswords(
        ("\nNew value: ",),
        rf"{_DIGIT}(?={_WORD}{{8,128}}{ENDS})",
        (),
        ("\nNew value: 12",),
    ),
    ProgramPasswords(
        ("password to proceed to installation:",),
        r"\s{1,8}",
        ("use the following password to proceed to installation:\n\n{}\n\nThis",),
        ("the password to proceed to installation",),
    ),
    ProgramPasswords(
        ("::server:",),
        r"(?=[0-9a-f]{32}|[a-z0-9]{6}\.[a-z0-9]{16})",
        (),
        ("K10::server:main",),
    ),
    ProgramPasswords(
        ("\tFULL\t", "\tFull\t", " FULL  ", " Full  "),
        " {0,16}(?=[A-Za-z0-9+/]{86}==)",
        (),
        ("key1\tFULL\tx",),
    ),
    ProgramPasswords(
        ("334 UGFzc3dvcmQ6",),
        rf"\r?\n(?:[<>-]{{1,3}} |C: )?(?=[A-Za-z0-9+/]{{8,128}}={{0,2}}{ENDS})",
        (),
        ("334 UGFzc3dvcmQ6\n535 no",),
    ),
    ProgramPasswords(
        ("Success: '", 'Success: "'),
        rf"[\w.@\\-]{{1,64}}:{_DIGIT}",
        (),
        ("Success: 'bob:'",),
    ),
    ProgramPasswords(
        ("assword As String = ", "ASSWORD As String = ", "_PWD As String = "),
        '"',
        ('Const DB_PASSWORD As String = "{}"',),
        ("Dim Password As String = x",),
    ),
    ProgramPasswords(
        ("assword\n[1] ", "oken\n[1] ", "ecret\n[1] "),
        f'"{_DIGIT}',
        (),
        ('$password\n[1] "x"', "$token\n[1] 12"),
    ),
    ProgramPasswords(
        ("assword Type=",),
        r'"[^"<>\x00-\x1f]{1,200}"[^<>\x00-\x1f]{0,80}>(?=[^<\s]{4,128}</)',
        ('<wsse:Password Type="http://x#PasswordText">{}</wsse:Password>',),
        ('<wsse:Password Type="http://x#PasswordText"/>',),
    ),
    ProgramPasswords(
        tuple(
            f"assword{ends}).{verb}("
            for ends in ('"', "'", ']"', "]'")
            for verb in ("send_keys", "sendKeys", "type", "fill", "setValue", "clear().type")
        ),
        "[\"']",
        ("find(By.ID, \"password\").send_keys('{}')", "cy.get('input[name=password]').type('{}')"),
        ("get('#password').type(password)",),
    ),
    ProgramPasswords(
        ("Input Password ", 'assword" with "', 'assword" field with "'),
        rf"(?:[ ]{{1,8}}\S{{1,64}}[ ]{{2,8}})?{_DIGIT}",
        (),
        ("    Input Password    id=pw    ${{PW}}", 'I fill in "Password" with "<pw>"'),
    ),
    ProgramPasswords(
        ("\tSecureString\t",),
        "",
        ("/prod/db/password\tSecureString\t{}\t1\n",),
        ("a\tSecureString\t\n",),
    ),
    ProgramPasswords(
        ("pass show ", "gopass show "),
        rf"[^\n\x00-\x1f\xff]{{1,120}}\r?\n{_DIGIT}(?={_WORD}{{6,128}}{ENDS})",
        (),
        ("pass show db\nError: 1 is not in it",),
    ),
    ProgramPasswords(
        ("npmAuthIdent: ", "-Dbasicauth=", "[admins]\n", "client_send = : "),
        rf"[\"']?{_NAME}(?: ?[:=] ?)(?={_WORD}{{4,128}})",
        (
            'npmAuthIdent: "bob:{}"',
            "-Dbasicauth=solr:{}",
            "[admins]\nbob = {}\n",
            "client_send = : bob : {}\n",
        ),
        ("npmAuthIdent: bob", "[admins]\n; admin = mysecretpassword"),
    ),
    ProgramPasswords(
        ("jdbc:oracle:thin:", "jdbc:oracle:oci:"),
        rf"[\w$#]{{1,64}}/(?={_WORD}{{4,128}}@)",
        ("jdbc:oracle:thin:bob/{}@//h:1521/x",),
        ("jdbc:oracle:thin:@//h:1521/x",),
        b"@",
    ),
    ProgramPasswords(
        ("WIFI:",),
        r"(?:[A-Z]:[^;\x00-\x1f]{0,64};){0,4}P:",
        ("WIFI:T:WPA;S:home;P:{};;",),
        ("WIFI:T:nopass;S:home;;",),
        b";",
    ),
    ProgramPasswords(
        ("Credentials(",),
        rf"{_TEXT}{_NEXT}{_TEXT}{_NEXT}{_TEXT}{_NEXT}\"",
        ('credentials += Credentials("Realm", "h", "bob", "{}")',),
        ('Credentials("a", "b", "c")',),
    ),
    ProgramPasswords(
        ("register => ",),
        rf"[^\s:/@]{{1,64}}:(?={_WORD}{{4,128}}@)",
        ("register => bob:{}@sip.example",),
        ("register => bob@sip.example",),
        b"@",
    ),
    ProgramPasswords(
        (" community ",),
        rf"(?<=snmp community ){_DIGIT}",
        (),
        ("set snmp community public", "the community of 2024"),
    ),
    ProgramPasswords(
        (" ENC ",),
        rf"(?=[A-Za-z0-9+/=]{{20,512}}(?:\s|{ENDS}))",
        (),
        ("set passwd ENC",),
    ),
    ProgramPasswords(
        ("-setcookie ",),
        r"['\"]?",
        ("erl -sname a -setcookie {}",),
        ("erl -setcookie $COOKIE",),
    ),
    ProgramPasswords(
        ("Unseal Key ", "Recovery Key "),
        r"[0-9]{1,2}: ",
        ("Unseal Key 1: {}\n",),
        ("the Unseal Key 1",),
    ),
    ProgramPasswords(
        ("SecretID", "Secret ID"),
        rf"\"?\s{{0,16}}[:=]\s{{0,16}}\"?{_UUID}",
        (),
        ("SecretID: {}",),
    ),
    ProgramPasswords(
        ("NTLM", "NTHASH", ":aad3b435b51404eeaad3b435b51404ee"),
        r"\s{0,16}:\s{0,4}(?=[0-9A-Fa-f]{32}(?![0-9A-Fa-f]))",
        (),
        ("NTLM: {}",),
        b":",
    ),
    ProgramPasswords(
        ("[+] ",),
        rf"[\w.-]{{1,64}}\\[\w.$-]{{1,64}}:(?={_WORD}{{4,128}}(?:{ENDS}| \())",
        ("DC [+] corp.local\\bob:{} (Pwn3d!)",),
        ("[+] corp.local\\bob (guest)",),
    ),
    ProgramPasswords(
        ('assword:"', 'assword: "', "assword:'", "assword: '", 'assword:*"', 'assword*"'),
        r"\)?\s{0,16}(?:\w{1,24}\.)?send(?:line)?[ (]{1,2}(?:-- )?[\"']"
        r"(?=[^\"'\\\x00-\x1f\xff]{4,128}(?:\\r)?[\"'])",
        ('expect "assword:"\nsend "{}\\r"\n', "c.expect('password:')\nc.sendline('{}')\n"),
        ('expect "assword:"\nsend "$pw\\r"',),
        b"\\",
    ),
    ProgramPasswords(
        ("username", "userName"),
        r"\":\s{0,4}\"[^\"\x00-\x1f\xff]{1,64}\",\s{0,4}\"key\":\s{0,4}\"(?=[0-9a-f]{32}\")",
        (),
        ('{"username": "bob", "key": "main"}',),
    ),
    ProgramPasswords(
        ("]:587", "]:465", "]:25", "]:2525", "]:submission", "]:smtps"),
        rf"[ \t]{{1,8}}{_NAME}:(?={_WORD}{{4,128}}{ENDS})",
        ("[smtp.example.com]:587 bob@example.com:{}\n",),
        ("[smtp.example.com]:587 bob@example.com",),
    ),
    ProgramPasswords(
        ("smtp.", "mail.", "relay."),
        rf"[a-z0-9.-]{{3,64}}(?::[a-z0-9]{{2,10}})?[ \t]{{1,8}}{_NAME}:{_DIGIT}(?={_WORD}{{4,128}}{ENDS})",
        (),
        ("mail.example.com bob:{}", "smtp.example.com bob"),
    ),
    ProgramPasswords(
        ("\t*\t", '" * "', "\tpppd\t", " pppd ", " pptpd ", " l2tpd ", "\tpptpd\t", "\tl2tpd\t"),
        r"[ \t]{0,8}\"?(?=[^\s\"\x00-\x1f\xff]{4,64}\"?[ \t]{1,8}\"?"
        rf"(?:\*|[0-9]{{1,3}}\.[0-9./]{{3,16}})\"?{ENDS})",
        ("bob\t*\t{}\t*\n", "bob pptpd {} 192.0.2.7\n"),
        ("a\t*\tb\n", "the pppd daemon * of it"),
    ),
    ProgramPasswords(
        ("redentials", "creds", "Creds"),
        rf"(?: (?:for|to|of) [\w.@ -]{{1,40}}?)?(?: are:?|:| -) "
        rf"[`\"']?{_NAME}[`\"']? {{0,2}}[/:,] {{0,2}}[`\"']?{_DIGIT}",
        (),
        ("credentials: bob / shop", "the credentials: see 12"),
    ),
    ProgramPasswords(
        ("textbox ",),
        rf"\"{_LABEL}\"(?:{_STATE}{{1,5}}: \"?|(?: [a-z]{{1,16}}){{0,4}} value=\")",
        (
            '- textbox "Password" [active] [ref=e12]: {}\n',
            'uid=1_5 textbox "Enter your password *" required value="{}"\n',
        ),
        ('- textbox "Password" [ref=e12]\n', '- textbox "Name" [ref=e12]: harbour1sunshine\n'),
    ),
    ProgramPasswords(
        ("'textbox', { name: ", '"textbox", { name: '),
        rf"[\"']{_LABEL}[\"'](?:, exact: true)? \}}\)\.(?:fill|type|pressSequentially)\([\"']",
        ("await page.getByRole('textbox', {{ name: 'Password' }}).fill('{}');",),
        ("await page.getByRole('textbox', { name: 'Password' }).fill(password);",),
    ),
    ProgramPasswords(
        ("assword: (string) (len=", "oken: (string) (len=", "ecret: (string) (len=", "Key: (string) (len="),
        r"[0-9]{1,4}\) \"",
        (' Password: (string) (len=12) "{}",\n',),
        (' Password: (string) "",\n',),
    ),
    ProgramPasswords(
        ("~ password", "~ master_password", "~ admin_password", "~ secret", "~ token", "~ api_key"),
        rf" {{0,24}}= {_TEXT} -> \"",
        ('~ password = "changeme" -> "{}"',),
        ('~ password = "changeme" -> (sensitive value)',),
    ),
    ProgramPasswords(
        (
            'assword: chr "',
            'assword : chr "',
            'oken: chr "',
            'oken   : chr "',
            'ecret: chr "',
            'api_key : chr "',
        ),
        "",
        (' $ password: chr "{}"\n',),
        (" $ password: chr NA\n",),
    ),
    ProgramPasswords(
        ("assword for the ",),
        r"[\w-]{1,32} user(?: \([^()\r\n]{1,160}\))?:\s{1,8}",
        ("Password for the elastic user (reset with `x -u elastic`):\n  {}\n",),
        ("the password for the elastic user: see below",),
    ),
    ProgramPasswords(
        ("__Host-", "__Secure-"),
        r"[\w.-]{1,48}=(?=[^\s;,\"'\x00-\x1f\xff]{0,64}[0-9])(?=[\w.~%+/=-]{20})",
        (),
        ("__Host-session=; Path=/", "__Secure-theme=dark"),
        b";",
    ),
    ProgramPasswords(
        ("ACCESSKEY\t",),
        r"[A-Z0-9]{16,32}\t[0-9T:.Z+-]{10,32}\t(?=[A-Za-z0-9+/]{40}\t)",
        (),
        ("ACCESSKEY\tx",),
    ),
    ProgramPasswords(
        ("socks5 ", "socks4 ", "socks5\t"),
        rf"[0-9.]{{7,15}}[ \t]{{1,8}}[0-9]{{2,5}}[ \t]{{1,8}}{_NAME}[ \t]{{1,8}}(?={_WORD}{{4,128}}{ENDS})",
        ("socks5 192.0.2.1 1080 bob {}\n",),
        ("socks5 192.0.2.1 1080",),
    ),
    ProgramPasswords(
        ("API Key  ", "API key  ", "ccess token  ", "ccess key  ", "ecret key  ", "Token  "),
        rf" {{0,30}}{_DIGIT}(?=[\w+/=.-]{{24,256}}{ENDS})",
        (),
        ("API Key       Description of it", "Token    a8f"),
    ),
    ProgramPasswords(
        ('"gitlab-token"', '"gitlab-oauth"', '"github-oauth"'),
        r": {0,2}\{\s{0,32}\"[\w.-]{1,128}\": {0,2}\"",
        ('"gitlab-token": {{"gitlab.example": "{}"}}',),
        ('"gitlab-token": {}',),
    ),
)
