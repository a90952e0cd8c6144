; `clock`: date and time from the clock chip (MC146818 and its descendants): ten registers behind
; ports 0x70 and 0x71.

RTC_D           equ 0x0d
RTC_CENTURY     equ 0x32                ; where PC firmware keeps it; the chip itself knows no century
RTC_UPDATING    equ 0x80                ; register A: the time is about to change
RTC_BINARY      equ 0x04                ; register B
RTC_24_HOURS    equ 0x02                ; register B
RTC_PM          equ 0x80                ; of the hours, in 12-hour mode
UPDATE_LOOKS    equ 10000               ; an update takes about 2 ms
CLOCK_TRIES     equ 4
CLOCK_FIELDS    equ 7

        section .bss
clock_now:      resb CLOCK_FIELDS + 1   ; seconds, minutes, hours, day, month, year, century
clock_again:    resb CLOCK_FIELDS + 1

        section .text
        command "clock", do_clock, 0, "clock", "date and time from the clock chip"

do_clock:
        call    expect_end
        mov     ecx, CLOCK_TRIES
.try:   mov     edi, clock_now          ; twice the same: no update came in between
        call    read_clock
        mov     edi, clock_again
        call    read_clock
        mov     eax, [clock_now]
        cmp     eax, [clock_again]
        jne     .changed
        mov     eax, [clock_now + 4]
        cmp     eax, [clock_again + 4]
        je      .steady
.changed:
        dec     ecx
        jnz     .try
        fail    "the clock chip does not hold still"
.steady:
        mov     al, RTC_B
        call    read_rtc
        mov     bl, al
        test    bl, RTC_24_HOURS
        setz    bh
        jnz     .hours_known
        test    byte [clock_now + 2], RTC_PM
        jz      .hours_known
        and     byte [clock_now + 2], ~RTC_PM
        mov     bh, 2                   ; 12-hour mode, afternoon
.hours_known:
        test    bl, RTC_BINARY
        jnz     .binary
        mov     ecx, CLOCK_FIELDS
.bcd:   mov     al, [clock_now + ecx - 1]
        call    from_bcd
        mov     [clock_now + ecx - 1], al
        dec     ecx
        jnz     .bcd
.binary:
        test    bh, bh
        jz      .check
        cmp     byte [clock_now + 2], 12
        jne     .noon_known
        mov     byte [clock_now + 2], 0
.noon_known:
        cmp     bh, 2
        jne     .check
        add     byte [clock_now + 2], 12
.check: mov     ecx, CLOCK_FIELDS - 1
.field: mov     al, [clock_now + ecx - 1]
        cmp     al, [.least + ecx - 1]
        jb      .nonsense
        cmp     al, [.most + ecx - 1]
        ja      .nonsense
        dec     ecx
        jnz     .field
        movzx   eax, byte [clock_now + 6]
        cmp     al, 19
        jb      .guess
        cmp     al, 99
        jbe     .show
.guess: mov     al, 20
.show:  call    put_two_digits
        mov     ecx, 5
        mov     esi, .after
.next:  movzx   eax, byte [clock_now + ecx]
        call    put_two_digits
        lodsb
        test    al, al
        jz      .mode
        call    put_char
        dec     ecx
        jmp     .next
.mode:  test    bl, RTC_BINARY
        jz      .say_bcd
        print   " (binary"
        jmp     .say_hours
.say_bcd:
        print   " (BCD"
.say_hours:
        test    bl, RTC_24_HOURS
        jz      .say_12
        print   ", 24 hours)", CR, LF
        ret
.say_12:
        print   ", 12 hours)", CR, LF
        ret
.nonsense:
        fail    "no time in the clock chip at port 0x70"

        section .data
.least: db      0, 0, 0, 1, 1, 0
.most:  db      59, 59, 23, 31, 12, 99
.after: db      "-- ::", 0

        section .text
; EDI: where to put the seven bytes. Waits until no update is about to come, or for as long as one
; could take.
read_clock:
        pushad
        mov     ecx, UPDATE_LOOKS
.wait:  mov     al, RTC_A
        call    read_rtc
        test    al, RTC_UPDATING
        jz      .read
        cmp     al, ABSENT
        je      .read
        dec     ecx
        jnz     .wait
.read:  mov     esi, .registers
        mov     ecx, CLOCK_FIELDS
.next:  lodsb
        call    read_rtc
        stosb
        dec     ecx
        jnz     .next
        popad
        ret

        section .data
.registers: db  0, 2, 4, 7, 8, 9, RTC_CENTURY

        section .text
; AL: a register; what is in it afterwards.
read_rtc:
        push    edx
        mov     edx, RTC_INDEX
        out     dx, al
        mov     edx, RTC_DATA
        in      al, dx
        pop     edx
        ret

; AL: two BCD digits in, their value out. 255 if they are not decimal digits.
from_bcd:
        push    edx
        mov     dl, al
        and     dl, 15
        shr     al, 4
        cmp     al, 9
        ja      .bad
        cmp     dl, 9
        ja      .bad
        mov     ah, 10
        mul     ah
        add     al, dl
        pop     edx
        ret
.bad:   mov     al, 255
        pop     edx
        ret
