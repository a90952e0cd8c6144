; `echo`, `repeat` and `help`, which makes its table out of the commands' own.

USAGE_COLUMN    equ 33

        section .text
        command "repeat", do_repeat, 0, "repeat N COMMAND", "run a command N times"
        command "echo", do_echo, 0, "echo TEXT", "print a text"
do_echo:
        call    skip_spaces
        call    put_text
        jmp     new_line

        command "help", do_help, 0, "help", "this list"
do_help:
        call    expect_end
        print   "Numbers are hexadecimal, 0x or not; a full stop makes one decimal (1000.).", CR, LF
        print   "A semicolon separates the commands of a line. Ctrl-C stops them.", CR, LF
        mov     ebx, commands
.next:  cmp     dword [ebx + entry.summary], 0
        je      .skip
        print   "  "
        mov     esi, [ebx + entry.usage]
        call    put_text
        mov     ecx, USAGE_COLUMN
.count: cmp     byte [esi], 0
        je      .pad
        inc     esi
        dec     ecx
        jmp     .count
.pad:   call    put_space
        dec     ecx
        jg      .pad
        mov     esi, [ebx + entry.summary]
        call    put_text
        call    new_line
.skip:  add     ebx, entry_size
        cmp     ebx, commands_end
        jb      .next
        ret
