; Sources of periodic interrupts: channel 0 of the 8254 timer (line 0) and the clock chip (line 8).
; A command starts them; settle_timers, after each command, silences them.

TIMER_HZ        equ 1193182
TIMER_0         equ 0x40
TIMER_CONTROL   equ 0x43
CHANNEL_0_RATE  equ 0x34                ; control word: channel 0, low byte then high, mode 2
CHANNEL_0_STOP  equ 0x30                ; mode 0: it waits for a count that never comes

RTC_INDEX       equ 0x70
RTC_DATA        equ 0x71
RTC_A           equ 0x0a
RTC_B           equ 0x0b
RTC_C           equ 0x0c
RTC_RATE_BITS   equ 0x0f
RTC_PERIODIC    equ 0x40

BEATS_PER_SECOND equ 100                ; channel 0
RTC_1024_HZ     equ 6
RTC_16_HZ       equ 12

        section .bss
        alignb  4
timer_runs:     resb 1
rtc_runs:       resb 1
rtc_a_before:   resb 1
rtc_b_before:   resb 1

        section .text
; Line 0 a hundred times a second.
start_timer:
        push    eax
        push    edx
        mov     byte [timer_runs], 1
        out_byte TIMER_CONTROL, CHANNEL_0_RATE
        out_byte TIMER_0, (TIMER_HZ / BEATS_PER_SECOND) & 0xff
        out_byte TIMER_0, TIMER_HZ / BEATS_PER_SECOND >> 8
        pop     edx
        pop     eax
        ret

; AL: a rate of the clock chip's register A; line 8 at that rate.
start_rtc:
        pushad
        pushfd
        cli
        mov     bl, al
        out_byte RTC_INDEX, RTC_A
        in_byte RTC_DATA
        mov     [rtc_a_before], al
        and     al, ~RTC_RATE_BITS
        or      al, bl
        out     dx, al
        out_byte RTC_INDEX, RTC_B
        in_byte RTC_DATA
        mov     [rtc_b_before], al
        or      al, RTC_PERIODIC
        out     dx, al
        call    rtc_interrupt           ; an old request would keep new ones away
        mov     byte [rtc_runs], 1
        popfd
        popad
        ret

; The interrupt of line 8: reading register C lets the next one come.
rtc_interrupt:
        push    eax
        push    edx
        out_byte RTC_INDEX, RTC_C
        in_byte RTC_DATA
        pop     edx
        pop     eax
        ret

; Silences what start_timer and start_rtc started.
settle_timers:
        pushad
        pushfd
        cli
        cmp     byte [timer_runs], 0
        je      .rtc
        mov     byte [timer_runs], 0
        out_byte TIMER_CONTROL, CHANNEL_0_STOP
.rtc:   cmp     byte [rtc_runs], 0
        je      .done
        mov     byte [rtc_runs], 0
        out_byte RTC_INDEX, RTC_B
        out_byte RTC_DATA, [rtc_b_before]
        out_byte RTC_INDEX, RTC_A
        out_byte RTC_DATA, [rtc_a_before]
        call    rtc_interrupt
.done:  popfd
        popad
        ret
