from attack import *

ABSENT = ("ENOENT", "EACCES", "EPERM")
for number, target in enumerate([HOST["file"], "/etc/shadow", "/proc/1/root" + HOST["file"], "../.." + HOST["file"]]):
    for place in [SCRATCH, OUT]:
        link = "%s/link%d" % (place, number)
        os.symlink(target, link)
        refused("read %s by a link in %s" % (target, place), lambda: opened(link), *ABSENT)
        refused("change %s by a link in %s" % (target, place), lambda: opened(link, os.O_WRONLY | os.O_CREAT), *ABSENT, "EROFS")
refused("a link of its own bundle", lambda: opened("/skill/link_to_host"), *ABSENT)
refused("a hard link to the system", lambda: os.link("/usr/bin/true", SCRATCH + "/true"), "EXDEV", "EACCES", "EPERM")
refused("a hard link out of its bundle", lambda: os.link("/skill/program.py", OUT + "/program"), "EXDEV", "EACCES", "EPERM")
done()
