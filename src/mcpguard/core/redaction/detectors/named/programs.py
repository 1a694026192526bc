"""Programs, devices and files of configuration in which a place can hold nothing but a password.

Law of this file: an entry leads from a literal to the password, over a bounded number of bytes, and says what
stands there when there is no password.
"""

from typing import NamedTuple

from mcpguard.core.redaction.detectors.named.values import ENDS


class ProgramPasswords(NamedTuple):
    """The names that programs begin with, what leads to the password behind them, and an example for each.

    `leads` is an expression that ends where the value begins, behind its quotes; before `until` it ends.
    """

    names: tuple[str, ...]
    leads: str
    hits: tuple[str, ...]
    misses: tuple[str, ...]
    until: bytes = b""


_WORD = r"[^\s\x00-\x1f\xff]"
_ALONG = r"(?:[^\n\r|;&\x00-\x08\x0b-\x1f\xff]|\\\r?\n){0,240}?[ \t]"
"""What may stand between a program and its option, within one command."""
_QUOTE = r"""\\?["']?"""
_READS = "(?:sudo -S|cryptsetup |gpg |docker login|kinit|hdiutil |passwd --stdin)"
"""Programs that read a password from a pipe."""

PROGRAMS: tuple[ProgramPasswords, ...] = (
    ProgramPasswords(
        ("mysql", "mariadb"),
        rf"(?:dump|admin|import|show|check|slap|sh|pump)?(?:\.exe)?{_ALONG}-p{_QUOTE}",
        ("mysql -h db -u root -p{} shop", "mysqldump -uroot -p'{}' shop > x.sql"),
        ("mysql -u root -p shop", "mysql -h db -P {}", "mysql -p$MYSQL_PW", "mysql -u root -pPASSWORD"),
    ),
    ProgramPasswords(
        ("sshpass",),
        rf" {{1,4}}-p {{0,4}}{_QUOTE}",
        ("sshpass -p {} ssh root@host", "sshpass -p'{}' scp a b:"),
        ("sshpass -e ssh host", 'sshpass -p "$PW" ssh host', "sshpass -f {}"),
    ),
    ProgramPasswords(
        ("docker login", "podman login", "registry login", "oc login", "az login", "skopeo login"),
        rf"{_ALONG}-p[ =]{_QUOTE}",
        ("docker login -u bob -p {} registry.example", "az login -u x -p '{}'"),
        ("docker login -u bob", "docker login --password-stdin", "docker login -p <token>"),
    ),
    ProgramPasswords(
        ("redis-cli", "keydb-cli", "valkey-cli"),
        rf"{_ALONG}-a {{0,3}}{_QUOTE}",
        ("redis-cli -h cache -a {} ping",),
        ("redis-cli -h cache ping", "redis-cli -a $PW"),
    ),
    ProgramPasswords(
        ("-passin ", "-passout ", "-pass ", "-passin=", "-srcpass "),
        rf"{_QUOTE}pass:{_QUOTE}",
        ("openssl rsa -in a.pem -passin pass:{} -out b.pem", "openssl enc -aes-256-cbc -pass 'pass:{}'"),
        ("openssl rsa -passin env:PW", "openssl rsa -passin file:/etc/pw", "-passin pass:$PW"),
    ),
    ProgramPasswords(
        ("curl ", "curlie "),
        rf"(?:{_ALONG})?(?:-u|-U|--user|--proxy-user)[ =]?{_QUOTE}[^\s:\"'\\$<>{{]{{1,64}}:",
        ("curl -s -u bob:{} https://x.example", "curl --user 'bob:{}' https://x.example"),
        ("curl -u bob https://x.example", 'curl -u "bob:$PW" x', "curl -u user:pass x"),
    ),
    ProgramPasswords(
        ("http -a ", "https -a ", "http --auth ", "lftp -u "),
        rf"{_QUOTE}[^\s:,\"'\\$<>{{]{{1,64}}[:,]",
        ("http -a bob:{} x.example/y",),
        ("http -a bob x.example",),
    ),
    ProgramPasswords(
        ("sqlcmd", "bcp ", "mongo", "isql"),
        rf"[a-z]{{0,10}}{_ALONG}-[pP] {{1,3}}{_QUOTE}",
        ("sqlcmd -S db -U sa -P {} -Q x", "mongodump -h db -u ops -p {}"),
        ("mongosh -h db --port 27017", "mongo -p $PW"),
    ),
    ProgramPasswords(
        ("mosquitto_pub ", "mosquitto_sub ", "mosquitto_rr "),
        rf"(?:{_ALONG})?-P {{1,3}}{_QUOTE}",
        ("mosquitto_sub -h mq -u bob -P {} -t x",),
        ("mosquitto_sub -h mq -p 1883",),
    ),
    *(
        ProgramPasswords(
            ("snmpget ", "snmpwalk ", "snmpset ", "snmpbulkwalk ", "snmptable ", "snmptrap "),
            rf"(?:{_ALONG})?-{option} {{1,3}}{_QUOTE}",
            (f"snmpget -v3 -u bob -{option} {{}} 192.0.2.1 x",),
            ("snmpget -v2c 192.0.2.1 x", f"snmpget -{option} public x"),
        )
        for option in "AXc"
    ),
    ProgramPasswords(
        ("mc alias set ", "mcli alias set ", "mc config host add "),
        rf"{_WORD}{{1,64}} {_WORD}{{1,128}} {_WORD}{{1,128}} {_QUOTE}",
        ("mc alias set local http://x:9000 bob {}",),
        ("mc alias set local http://x:9000",),
    ),
    ProgramPasswords(
        ("sudo -S ",),
        rf"[^\n|;&\x00-\x1f]{{0,120}}?<<< {{0,2}}{_QUOTE}",
        ("sudo -S ls <<< '{}'",),
        ('sudo -S ls <<< "$PW"',),
    ),
    ProgramPasswords(
        ("printf ",),
        rf"['\"]?%s(?:\\n)?['\"]? {_QUOTE}(?={_WORD}{{4,128}} {{0,2}}\| {{0,2}}(?:sudo )?{_READS})",
        ("printf '%s' '{}' | cryptsetup open /dev/sdb x -",),
        ("printf '%s' '{}' | tee a",),
    ),
    ProgramPasswords(
        ("ejabberdctl register ", "mc admin user add "),
        rf"{_WORD}{{1,64}} {_WORD}{{1,64}} {_QUOTE}",
        ("ejabberdctl register bob h {}", "mc admin user add local bob {}"),
        ("ejabberdctl register bob h",),
    ),
    ProgramPasswords(
        ("ctl admins add ", "steamcmd +login ", " -passwd /Users/"),
        rf"{_WORD}{{1,64}} {_QUOTE}(?=[^\s0-9\x00-\x1f\xff]{{0,64}}[0-9])",
        (),
        ("steamcmd +login bob +quit", "dscl . -passwd /Users/bob"),
    ),
    ProgramPasswords(
        ("unlock-keychain ", "altool ", "notarytool ", "az sql ", "az vm ", "az postgres ", "az mysql "),
        rf"(?:{_ALONG})?-p {_QUOTE}",
        ("security unlock-keychain -p {} login.keychain", "az sql server create -u bob -p {} -n x"),
        ("security unlock-keychain login.keychain", "az vm create -p $PW"),
    ),
    ProgramPasswords(
        ("signtool ", "ldappasswd ", "rar a "),
        rf"(?:{_ALONG})?(?:/p |-s |-hp){_QUOTE}",
        ("signtool sign /f a.pfx /p {} a.exe", "ldappasswd -s {} uid=bob", "rar a -hp{} a.rar b"),
        ("signtool sign a.exe", "rar a a.rar b"),
    ),
    ProgramPasswords(
        ("net use ",),
        rf"(?:{_WORD}{{1,8}} )?\\\\{_WORD}{{1,128}} (?!/){_QUOTE}(?=[^\s0-9\x00-\x1f\xff]{{0,64}}[0-9])",
        (),
        ("net use z: \\\\h\\s /user:bob1", "net use z: \\\\h\\s"),
    ),
    ProgramPasswords(
        ("gh secret set ",),
        rf"{_ALONG}(?:--body[ =]|-b ?){_QUOTE}",
        ("gh secret set PW -b {}", "gh secret set PW --body={}"),
        ("gh secret set PW -b $PW", "gh secret set PW < a.txt"),
    ),
    ProgramPasswords(
        ("net user ",),
        rf"[\w.-]{{1,64}} (?=[^\s0-9\x00-\x1f\xff]{{0,64}}[0-9])(?={_WORD}{{4,64}}{ENDS})",
        (),
        ("net user bob /domain", "the net user has 12"),
    ),
    ProgramPasswords(
        ("ldapsearch", "ldapadd", "ldapmodify", "ldapwhoami", "ldappasswd", "ldapdelete"),
        rf"{_ALONG}-w {{0,3}}{_QUOTE}",
        ("ldapsearch -x -D cn=admin,dc=x -w {} uid=bob",),
        ("ldapsearch -x -W uid=bob",),
    ),
    ProgramPasswords(
        ("zip ", "unzip ", "7z "),
        rf"(?:{_ALONG})?-(?:P {{1,3}}|p){_QUOTE}",
        ("zip -P {} a.zip b", "7z x a.7z -p{}"),
        ("unzip -p a.zip", "zip -r a.zip b"),
    ),
    ProgramPasswords(
        (" -pw ", " -storepass ", " -keypass ", " -deststorepass ", " -srcstorepass "),
        _QUOTE,
        ("plink -ssh bob@h -pw {}", "keytool -list -storepass {} -keystore a"),
        ("keytool -storepass $PW",),
    ),
    ProgramPasswords(
        ("htpasswd ",),
        rf"-[a-zA-Z]{{0,4}}b[a-zA-Z]{{0,4}} (?:{_WORD}{{1,128}} )?{_WORD}{{1,64}} {_QUOTE}",
        ("htpasswd -b .htpasswd bob {}", "htpasswd -nb bob {}"),
        ("htpasswd -c .htpasswd bob",),
    ),
    ProgramPasswords(
        ("smbclient ", "rpcclient ", "mount.cifs ", "net rpc ", "net ads ", "winexe ", "smbget "),
        rf"(?:{_ALONG})?-U {{0,3}}{_QUOTE}[^\s%\"'\\]{{1,64}}%",
        ("smbclient //h/s -U bob%{}",),
        ("smbclient //h/s -U bob",),
    ),
    ProgramPasswords(
        ("ssh-keygen ",),
        rf"(?:{_ALONG})?-[NP] {{1,3}}{_QUOTE}",
        ("ssh-keygen -t ed25519 -N {} -f k",),
        ('ssh-keygen -t ed25519 -N ""',),
    ),
    ProgramPasswords(
        ("rabbitmqctl ",),
        rf"(?:add_user|change_password) {_WORD}{{1,64}} {_QUOTE}",
        ("rabbitmqctl add_user bob {}",),
        ("rabbitmqctl add_user bob",),
    ),
    ProgramPasswords(
        ("net user ", "net use "),
        rf"[^\x00-\x1f\xff]{{1,80}}?(?: /user:{_WORD}{{1,64}})? {_QUOTE}(?={_WORD}{{4,64}} /(?:add|pers))",
        ("net user bob {} /add",),
        ("net user bob /add",),
    ),
    ProgramPasswords(
        ("requirepass ", "masterauth "),
        _QUOTE,
        ("\nrequirepass {}\n",),
        ("# requirepass foobared",),
    ),
    ProgramPasswords(
        ("sqlplus ", "rman target ", "expdp ", "impdp "),
        rf"(?:-{_WORD}{{1,8}} ){{0,3}}{_QUOTE}[A-Za-z][\w$#]{{0,32}}/{_QUOTE}(?={_WORD}{{4,128}}@)",
        ("sqlplus -s system/{}@//db:1521/x", "expdp scott/{}@orcl"),
        ("sqlplus /nolog", "sqlplus -s system@orcl", "sqlplus / as sysdba"),
        b"@",
    ),
    ProgramPasswords(
        ("ipmitool ",),
        rf"{_ALONG}-P {{1,3}}{_QUOTE}",
        ("ipmitool -I lanplus -H bmc -U ops -P {} power status",),
        ("ipmitool -H bmc -U ops -a power status",),
    ),
    ProgramPasswords(
        ("xfreerdp ", "mstsc ", "wfreerdp "),
        rf"(?:{_ALONG})?/p:{_QUOTE}",
        ("xfreerdp /u:bob /p:{} /v:host",),
        ("xfreerdp /u:bob /v:host /port:3390",),
    ),
    ProgramPasswords(
        ("openssl enc ", "openssl aes-", "openssl des"),
        rf"(?:{_ALONG})?-k {{1,3}}{_QUOTE}",
        ("openssl enc -aes-256-cbc -k {} -in a", "openssl aes-256-cbc -d -k {} -in a"),
        ("openssl enc -aes-256-cbc -kfile pw -in a", "openssl enc -k $PW"),
    ),
    ProgramPasswords(
        ("echo ",),
        rf"(?:-[ne] )?{_QUOTE}(?={_WORD}{{4,128}} {{0,2}}\| {{0,2}}{_READS})",
        ("echo {} | sudo -S ls", "echo -n '{}' | cryptsetup open /dev/sdb x -"),
        ("echo {} | tee a", "echo $PW | sudo -S ls", 'echo "$(pass x)" | sudo -S ls'),
    ),
    ProgramPasswords(
        ("echo ",),
        rf"{_QUOTE}[a-z_][\w.-]{{0,32}}:(?={_WORD}{{4,128}} {{0,2}}\| {{0,2}}(?:sudo )?chpasswd)",
        ("echo 'bob:{}' | chpasswd", "echo root:{} | sudo chpasswd"),
        ("echo bob:$PW | chpasswd", "echo bob:{} | tee a"),
    ),
    ProgramPasswords(
        ("ConvertTo-SecureString ",),
        rf"(?:-String )?(?:-AsPlainText )?{_QUOTE}(?=[^\x00-\x1f\xff]{{4,256}}-)",
        (
            '$pw = ConvertTo-SecureString "{}" -AsPlainText -Force',
            "ConvertTo-SecureString '{}' -AsPlainText -Force",
        ),
        ("ConvertTo-SecureString $pw -AsPlainText -Force", "Read-Host | ConvertTo-SecureString -AsPlainText"),
    ),
    ProgramPasswords(
        (" PSK ", " EAP ", " XAUTH ", " NTLM "),
        rf'"(?=[^"\x00-\x1f\xff]{{4,256}}"(?:\s{{0,8}}#|{ENDS}))',
        (': PSK "{}"', '192.0.2.1 %any : PSK "{}"\n', 'bob : EAP "{}"'),
        ('the PSK "{}" of the site', ": RSA key.pem"),
    ),
    ProgramPasswords(
        ("insecure-password ", "stats auth "),
        r"(?:(?<=auth )[\w.-]{1,64}:)?",
        ("user ops insecure-password {}", "  stats auth ops:{}"),
        ("user ops password", "stats enable"),
    ),
    ProgramPasswords(
        ("createUser ",),
        rf"{_WORD}{{1,64}} (?:MD5|SHA(?:-[0-9]{{3}})?) {_QUOTE}",
        ('createUser bob SHA "{}" AES', "createUser bob SHA-256 {} AES"),
        ("createUser bob", "createUser(bob, SHA)"),
    ),
    ProgramPasswords(
        (" AES ", " DES "),
        rf'"(?=[^"\s\x00-\x1f\xff]{{8,128}}"{ENDS})',
        ('createUser bob SHA "" AES "{}"',),
        ('the cipher AES "{}" of x', "AES 256 bits"),
    ),
    ProgramPasswords(
        ("rocommunity ", "rwcommunity ", "snmp-server community "),
        _QUOTE,
        ("rocommunity {} 192.0.2.0/24", "snmp-server community {} RO"),
        ("rocommunity public", "snmp-server community private RW"),
    ),
    ProgramPasswords(
        (
            "isakmp key ",
            "tacacs-server key ",
            "radius-server key ",
            " key-string ",
        ),
        r"(?:[0-9] )?",
        (
            "crypto isakmp key {} address 192.0.2.1",
            "\n  key-string {}\n",
        ),
        ("isakmp key <key>",),
    ),
    ProgramPasswords(
        ("enable secret ", "enable password "),
        rf"(?:[0-9] (?!{ENDS})|(?=[^\s0-9\x00-\x1f\xff]{{0,64}}[0-9]))",
        ("enable secret 5 {}", "enable password 7 {}"),
        ("enable secret scan", "enable password protection", "to enable secret scanning"),
    ),
    ProgramPasswords(
        (
            "password cipher ",
            "irreversible-cipher ",
            "plaintext-password ",
            " psksecret ",
        ),
        rf"(?:ENC )?{_QUOTE}",
        ("local-user bob password cipher {}", "authentication plaintext-password '{}'", "set psksecret {}"),
        ("the password cipher <name>",),
    ),
    ProgramPasswords(
        (" auth sha ", " auth md5 ", " priv aes 128 ", " priv aes 256 ", " priv des "),
        r"(?=[^\s0-9'\x00-\x1f\xff]{0,64}[0-9])",
        (),
        ("snmp-server user bob grp v3 auth sha <key>",),
    ),
    ProgramPasswords(
        (" password 0 ", " password 7 ", " secret 0 ", " key 7 "),
        "",
        ("username bob privilege 15 password 0 {}", "neighbor 192.0.2.1 password 7 {}"),
        ("the password 0",),
    ),
    ProgramPasswords(
        ('secret "$9$', 'key ascii-text "$9$', 'password "$9$'),
        "",
        ('secret "$9${}"; ## SECRET-DATA',),
        ('secret "$9$"',),
    ),
    ProgramPasswords(
        ("option key ", "option password ", "option psk "),
        r"['\"]",
        ("\toption key '{}'\n", "\toption password '{}'\n"),
        ("the option key is {}", "option key ''"),
    ),
    ProgramPasswords(
        ("wireless.",),
        r"[\w@\[\]-]{1,40}\.(?:key|sae_password|auth_secret)=['\"]",
        ("wireless.default_radio0.key='{}'",),
        ("wireless.default_radio0.ssid='{}'", "wireless.key(x)"),
    ),
    ProgramPasswords(
        ("neighbor ",),
        r"[0-9A-Fa-f.:]{3,45} password ",
        ("neighbor 192.0.2.1 password {}",),
        ("neighbor 192.0.2.1 remote-as 65000",),
    ),
    ProgramPasswords(
        ("rootpw", "bindpw"),
        rf"[ \t]{{1,16}}(?:--plaintext |--iscrypted )?{_QUOTE}(?={_WORD}{{4,256}}{ENDS})",
        ("rootpw --plaintext {}\n", "rootpw\t\t{}\n", "bindpw {}"),
        ("rootpw --lock", "include a bindpw like so"),
    ),
    ProgramPasswords(
        ("root-password password ", "user-password password ", "password-again password "),
        "",
        ("d-i passwd/root-password password {}", "d-i passwd/user-password-again password {}"),
        ("d-i passwd/user-password password <password>",),
    ),
    ProgramPasswords(
        (" -y hmac-",),
        rf"[a-z0-9-]{{3,12}}:{_WORD}{{1,64}}?:",
        ("nsupdate -y hmac-sha256:mykey:{}", "dig -y hmac-md5:k:{} axfr x"),
        ("nsupdate -y hmac-sha256",),
    ),
    ProgramPasswords(
        ("login=", 'user = "', "user = '", 'proxy-user = "', "\nuser="),
        r"(?!urn:)[\w.@+-]{1,64}:(?=[^\s0-9\x00-\x1f\xff]{0,64}[0-9])",
        (),
        ("login=bob", 'user = "bob"', 'user = "urn:{}"'),
    ),
    ProgramPasswords(
        ("password\nV ",),
        r"[0-9]{1,3}\n",
        ("K 8\npassword\nV 14\n{}\nK 15\nsvn:realmstring",),
        ("the password\nV 12",),
    ),
    ProgramPasswords(
        ("<auth-user-pass>\n",),
        rf"{_WORD}{{1,64}}\n",
        ("<auth-user-pass>\nbob\n{}\n</auth-user-pass>",),
        ("<auth-user-pass>\nbob\n</auth-user-pass>",),
    ),
    ProgramPasswords(
        ("SETUSER ", "setuser ", "user "),
        rf"{_WORD}{{1,64}} (?:[a-z&~+@*:-]{{1,32}} ){{0,6}}>"
        rf"(?={_WORD}{{4,128}} {{1,4}}(?:[~&+%]|[a-z]{{2,12}}(?: |{ENDS})))",
        ("ACL SETUSER app on >{} ~app:* +@read", "user app on >{} ~* +@all"),
        ("ACL SETUSER app on nopass ~*", "user app > {}"),
    ),
    ProgramPasswords(
        ("poll ",),
        rf"{_ALONG}pass(?:word)? {_QUOTE}(?=[^\s0-9\x00-\x1f\xff]{{0,64}}[0-9])",
        (),
        ("poll the server with a password {}",),
    ),
    ProgramPasswords(
        ("assword>",),
        r"\s{0,32}<Value>",
        ("<Password><Value>{}</Value><PlainText>true</PlainText></Password>",),
        ("<Password><Value></Value></Password>",),
    ),
    ProgramPasswords(
        ("trojan://", "hysteria2://", "hy2://"),
        r"(?=[^\s@:/\x00-\x1f\xff]{4,128}@)",
        ("trojan://{}@x.example:443",),
        ("trojan://x.example",),
        b"@",
    ),
    ProgramPasswords(
        ('encrypt = "', '"encrypt": "', '"encrypt":"'),
        r'(?=[A-Za-z0-9+/]{22,43}={1,2}")',
        (),
        ('encrypt = "{}"', '"encrypt": "aes256"'),
    ),
    ProgramPasswords(
        ('"random_password"',),
        r'[^}\x00-\x08\xff]{0,800}?"result": {0,2}"',
        ('{{"type": "random_password", "name": "db", "instances": [{{"attributes": {{"result": "{}"}}}}]}}',),
        ('{"type": "random_password", "name": "db"}',),
    ),
    ProgramPasswords(
        ('__COM: "', "__COM=", '__ORG: "', "__ORG="),
        rf"[A-Za-z][\w.-]{{0,64}}:(?={_WORD}{{4,128}})",
        ("BUNDLE_GEMS__CONTRIBSYS__COM=bob:{}",),
        ("BUNDLE_GEMS__CONTRIBSYS__COM=https",),
    ),
    ProgramPasswords(
        ("{PLAIN}", "{CLEARTEXT}", "{CLEAR}", "{cleartext}", "{plain}"),
        "",
        ("bob:{{PLAIN}}{}::::::",),
        ("{PLAIN}",),
        b":",
    ),
    ProgramPasswords(
        ("assword:: ",),
        rf"(?=[A-Za-z0-9+/]{{4,256}}={{0,2}}(?:\s|{ENDS}))",
        ("userPassword:: {}\n",),
        ("the password:: ",),
    ),
)
