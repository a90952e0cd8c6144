; Ways to stop, and to start again.

PM_CONTROL      equ 0x404               ; ACRN's virtual PM1a control register
PM_SLEEP_S5     equ 0x3400              ; sleep enable (bit 13) and sleep type 5, which is off
DEBUG_EXIT      equ 0xf4
RESET_CONTROL   equ 0xcf9
RESET_FULL      equ 0x06                ; reset the CPU, and do it now
KEYBOARD_STATUS equ 0x64
KEYBOARD_BUSY   equ 0x02
KEYBOARD_RESET  equ 0xfe                ; pulse the CPU's reset line
BUSY_LOOKS      equ 10000
PATIENCE_SPINS  equ 20000000            ; some 10 ms: a device may take a while to stop a machine

        section .text
        command "idle", do_idle, 0, "idle", "halt with interrupts on, until a key"
do_idle:
        call    expect_end
        print   "idle; a key ends it", CR, LF
        call    get_key
        cmp     al, CTRL_C
        jne     .done
        mov     byte [aborted], 1       ; the rest of the line as well
.done:  ret

        command "halt", do_halt, 0, "halt", "halt with interrupts off, forever"
do_halt:
        call    expect_end
        print   "halted", CR, LF
.forever:
        cli
        hlt
        jmp     .forever

        command "poweroff", do_poweroff, 0, "poweroff", "switch off: ACPI, else the debug exit"
do_poweroff:
        call    expect_end
        mov     edx, PM_CONTROL
        mov     eax, PM_SLEEP_S5
        out     dx, ax
        call    be_patient
        out_byte DEBUG_EXIT, 0
        call    be_patient
        fail    "the machine is still on"

        command "reset", do_reset, 0, "reset", "start again: port cf9, port 64, or triple"
do_reset:
        call    expect_end
        out_byte RESET_CONTROL, RESET_FULL
        call    be_patient
        mov     ecx, BUSY_LOOKS
.poll:  in_byte KEYBOARD_STATUS
        test    al, KEYBOARD_BUSY
        jz      .ready
        dec     ecx
        jnz     .poll
.ready: out_byte KEYBOARD_STATUS, KEYBOARD_RESET
        call    be_patient
        jmp     triple_fault

        command "triple", do_triple, 0, "triple", "triple fault, on purpose"
do_triple:
        call    expect_end
triple_fault:
        cli
        lidt    [.no_table]
        int3

        section .data
.no_table:
        dw      0
        dd      0

        section .text
be_patient:
        push    ecx
        mov     ecx, PATIENCE_SPINS
.spin:  dec     ecx
        jnz     .spin
        pop     ecx
        ret

        command "fault", do_fault, 0, "fault N", "make exception N happen: 0, 3, 6 or d"
