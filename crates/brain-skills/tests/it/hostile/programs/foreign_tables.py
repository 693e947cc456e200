from attack import *

if X86:
    # mov eax, number; int 0x80; ret
    for name, number in [("getpid", 20), ("ptrace", 26), ("execve", 11), ("socketcall", 102), ("mount", 21)]:
        code = b"\xb8" + number.to_bytes(4, "little") + b"\xcd\x80\xc3"
        refused("%s of the 32-bit table" % name, lambda: machine_code(code), "SIGSYS")
    # mov eax, number; syscall; ret
    for name, number in [("getpid", 39), ("ptrace", 521), ("execve", 520), ("process_vm_readv", 539), ("none", 0xFFFF)]:
        code = b"\xb8" + (0x40000000 | number).to_bytes(4, "little") + b"\x0f\x05\xc3"
        refused("%s of the x32 table" % name, lambda: machine_code(code), "SIGSYS")
    # mov eax, -1; syscall; ret
    refused("the last number of all", lambda: machine_code(b"\xb8\xff\xff\xff\xff\x0f\x05\xc3"), "SIGSYS")
else:
    holds("this machine has one table", True)
done()
