; Macros that every other page uses: text in the place where it is printed, errors, accesses to
; fixed ports and the table of commands.

CR              equ 13
LF              equ 10

; print "text", 13, 10: keeps every register.
%macro print 1+
        [section .data]
%%text: db      %1, 0
        __SECT__
        push    dword %%text
        call    put_literal
%endmacro

; fail "text": prints it as an error and abandons the command.
%macro fail 1+
        print   "error: ", %1, CR, LF
        jmp     command_failed
%endmacro

; out_byte PORT, VALUE: changes EDX and AL.
%macro out_byte 2
        mov     edx, %1
        mov     al, %2
        out     dx, al
%endmacro

; in_byte PORT: the byte in AL; changes EDX.
%macro in_byte 1
        mov     edx, %1
        in      al, dx
%endmacro

; The table of commands. Each page adds its own; help lists them in the order of the pages.
struc entry
.name:          resd 1
.routine:       resd 1          ; called with ESI at the operands and the parameter in EAX
.parameter:     resd 1
.usage:         resd 1
.summary:       resd 1          ; 0: help shows it in the line of the command before
endstruc

; command "name", routine, parameter, "usage", "summary"
%macro command 5
        [section .data]
%%name:         db %1, 0
%%usage:        db %4, 0
%%summary:      db %5, 0
        [section .commands]
                dd %%name, %2, %3, %%usage, %%summary
        __SECT__
        %xdefine LAST_USAGE %%usage
%endmacro

; also_command "name", routine, parameter: shares the usage of the command before.
%macro also_command 3
        [section .data]
%%name:         db %1, 0
        [section .commands]
                dd %%name, %2, %3, LAST_USAGE, 0
        __SECT__
%endmacro

        section .commands
commands:
