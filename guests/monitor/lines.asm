; The sixteen interrupt lines: two 8259A interrupt controllers, a counter for each line, and what to
; do when one never stops. Names of the control words are those of the 8259A data sheet.

PIC1            equ 0x20                ; command port; the mask is at the next one
PIC2            equ 0xa0
ICW1_START      equ 0x11                ; edge triggered, cascaded, ICW4 follows
ICW4_8086       equ 0x01
OCW2_END        equ 0x20                ; end of interrupt
OCW3_READ_ISR   equ 0x0b
CASCADE         equ 1 << 2              ; the second controller is on line 2 of the first
SERIAL_LINE     equ 1 << 4

STORM_LIMIT     equ 200000              ; interrupts while one command runs, before their line is masked

        section .bss
        alignb  4
line_counts:    resd 16                 ; since the start
spurious_count: resd 1
line_routines:  resd 16                 ; called at an interrupt of the line, interrupts off; keeps every register
storm_left:     resd 1
storm_lines:    resd 1                  ; a bit for each line that was masked for storming
open_lines:     resd 1                  ; a bit for each line that is not masked

        section .text
; May be called again to get the controllers out of whatever state they are in.
init_lines:
        pushad
        pushfd
        cli
        mov     dword [line_routines + 4 * 4], serial_interrupt
        mov     dword [line_routines + 8 * 4], rtc_interrupt
        mov     dword [storm_left], STORM_LIMIT
        out_byte PIC1, ICW1_START
        out_byte PIC2, ICW1_START
        out_byte PIC1 + 1, LINE_VECTOR
        out_byte PIC2 + 1, LINE_VECTOR + 8
        out_byte PIC1 + 1, CASCADE
        out_byte PIC2 + 1, 2            ; the number of that line
        out_byte PIC1 + 1, ICW4_8086
        out_byte PIC2 + 1, ICW4_8086
        mov     dword [open_lines], -1  ; not known
        call    mask_lines
        popfd
        popad
        ret

; Masks all lines but those of the monitor itself.
mask_lines:
        push    eax
        mov     eax, CASCADE
        cmp     byte [input_by_interrupt], 0
        je      .set
        or      eax, SERIAL_LINE
.set:   call    set_open_lines
        pop     eax
        ret

; ECX: a line to unmask beside those that are.
unmask_line:
        push    eax
        mov     eax, [open_lines]
        bts     eax, ecx
        call    set_open_lines
        pop     eax
        ret

; EAX: a bit for each line that may interrupt.
set_open_lines:
        push    eax
        push    edx
        cmp     eax, [open_lines]
        je      .done
        mov     [open_lines], eax
        not     eax
        mov     edx, PIC1 + 1
        out     dx, al
        mov     al, ah
        mov     edx, PIC2 + 1
        out     dx, al
.done:  pop     edx
        pop     eax
        ret

%assign n 0
%rep 16
line_stub_ %+ n:
        push    dword n
        jmp     line_interrupt
  %assign n n + 1
%endrep

line_interrupt:
        pushad
        cld
        mov     ebx, [esp + 32]
        cmp     ebx, 7
        je      .seven
        cmp     ebx, 15
        je      .fifteen
.count: inc     dword [line_counts + ebx * 4]
        dec     dword [storm_left]
        jz      .storm
.serve: mov     eax, [line_routines + ebx * 4]
        test    eax, eax
        jz      .end
        call    eax
.end:   cmp     ebx, 8
        jb      .end1
        out_byte PIC2, OCW2_END
.end1:  out_byte PIC1, OCW2_END
.done:  popad
        add     esp, 4
        iretd

; A request that went away before it was served is reported as line 7, though no bit is in service
; then. That of the second controller has gone through line 2, whose service must be ended.
.seven: out_byte PIC1, OCW3_READ_ISR
        in      al, dx
        test    al, al
        js      .count
        inc     dword [spurious_count]
        jmp     .done
.fifteen:
        out_byte PIC2, OCW3_READ_ISR
        in      al, dx
        test    al, al
        js      .count
        inc     dword [spurious_count]
        jmp     .end1

; More interrupts than any command needs: without this limit a line that never stops would keep us
; here forever.
.storm: mov     dword [storm_left], STORM_LIMIT
        bts     [storm_lines], ebx
        mov     eax, [open_lines]
        btr     eax, ebx
        call    set_open_lines
        jmp     .serve

; `irqs`: what has been counted.
do_irqs:
        call    expect_end
        xor     ebx, ebx                ; line
        xor     edi, edi                ; lines printed
.next:  mov     eax, [line_counts + ebx * 4]
        test    eax, eax
        jz      .skip
        inc     edi
        print   "line "
        push    eax
        mov     eax, ebx
        call    put_decimal
        pop     eax
        print   ": "
        call    put_decimal
        bt      [storm_lines], ebx
        jnc     .calm
        print   " (it stormed, and was masked)"
.calm:  call    new_line
.skip:  inc     ebx
        cmp     ebx, 16
        jb      .next
        mov     eax, [spurious_count]
        or      edi, eax
        test    eax, eax
        jz      .none
        print   "spurious: "
        call    put_decimal
        call    new_line
.none:  test    edi, edi
        jnz     .done
        print   "no interrupts so far", CR, LF
.done:  ret
