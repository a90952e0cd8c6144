; `tour`: a short introduction for first-time users. A list of steps, each an explanation and a
; command that runs exactly as if it were typed (session.asm takes them from here).

        section .text
        command "tour", do_tour, 0, "tour", "a short look around, a few seconds long"

do_tour:
        call    expect_end
        print   CR, LF, "This is a guest: a program that runs bare on a virtual machine's vCPU.", CR, LF
        print   "Each port it touches below becomes an I/O request: the vCPU pauses,", CR, LF
        print   "a device answers, the vCPU goes on.", CR, LF
        mov     dword [tour_next], steps
        ret

; The next step's command in command_text. Carry after the last step.
next_tour_step:
        pushad
        mov     ebx, [tour_next]
        test    ebx, ebx
        jz      .none
        mov     esi, [ebx]
        test    esi, esi
        jz      .end
        call    new_line
        call    put_text
        call    new_line
        mov     esi, [ebx + 4]
        call    copy_command
        add     dword [tour_next], 8
        popad
        clc
        ret
.end:   mov     dword [tour_next], 0
        print   CR, LF, "That was the tour. Type help for all the commands.", CR, LF
.none:  popad
        stc
        ret

%macro step 2
        [section .data]
%%why:  db      %1, 0
%%what: db      %2, 0
        [section .steps]
        dd      %%why, %%what
        __SECT__
%endmacro

        section .steps
steps:
        step "What time is it? The clock chip, a register at a time:", "clock"
        step "Which devices are there? The PCI bus, through ports cf8 and cfc:", "pci"
        step "A timer set to 100 interrupts a second, counted for half a second:", "irq 0 500."
        step "How long does a request take? Port 80, fifty thousand times (debug cards sit there):", "time in8 80 50000."
        step "And a register of the serial port, this very console:", "time in8 3ff 50000."
        dd   0
        section .text
