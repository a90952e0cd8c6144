; Time: the processor's time-stamp counter, measured against channel 2 of the 8254 timer, and the two sources of periodic
; interrupts, channel 0 of the timer (line 0) and the clock chip (line 8).

TIMER_HZ        equ 1193182
TIMER_0         equ 0x40
TIMER_2         equ 0x42
TIMER_CONTROL   equ 0x43
GATE_PORT       equ 0x61                ; bit 0 the gate of channel 2, bit 1 the speaker, bit 5 the output of channel 2
CHANNEL_0_RATE  equ 0x34                ; control word: channel 0, low byte then high, mode 2
CHANNEL_0_STOP  equ 0x30                ; mode 0: it waits for a count that never comes
CHANNEL_2_ONCE  equ 0xb0                ; channel 2, mode 0: the output goes high after the count

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
GAUGE_MS        equ 20
GAUGE_COUNT     equ TIMER_HZ * GAUGE_MS / 1000
GAUGE_LOOKS     equ 100000

        section .bss
        alignb  4
tsc_khz:        resd 1                  ; 0: not measured yet
timer_runs:     resb 1
rtc_runs:       resb 1
rtc_a_before:   resb 1
rtc_b_before:   resb 1

        section .text
; EDX:EAX: the time-stamp counter.
%define now     rdtsc

; Measures the counter's frequency, once. Fails the command when there is no such counter, or nothing to measure it by.
need_time:
        cmp     dword [tsc_khz], 0
        jne     .known
        test    byte [cpu_features], FEATURE_TSC
        jnz     .measure
        fail    "this processor has no time-stamp counter, so no time can be measured"
.measure:
        pushad
        call    gauge_by_timer
        jnc     .set
        call    gauge_by_cpuid
        jc      .nothing
.set:   mov     [tsc_khz], eax
        popad
.known: ret
.nothing:
        fail    "no timer at port 0x42, so no time can be measured"

; EAX: kHz by the timer. Carry when there is none.
gauge_by_timer:
        in_byte GATE_PORT
        mov     bl, al
        and     al, 0xfc
        or      al, 1
        out     dx, al
        out_byte TIMER_CONTROL, CHANNEL_2_ONCE
        out_byte TIMER_2, GAUGE_COUNT & 0xff
        out_byte TIMER_2, GAUGE_COUNT >> 8
        now
        mov     esi, eax
        mov     edi, edx
        in_byte GATE_PORT
        test    al, 0x20
        jnz     .none                   ; high at once: nobody counts
        mov     ecx, GAUGE_LOOKS
.look:  mov     eax, 2000               ; not every look has to be a request
.spin:  dec     eax
        jnz     .spin
        in_byte GATE_PORT
        test    al, 0x20
        jnz     .high
        dec     ecx
        jnz     .look
.none:  call    .restore
        stc
        ret
.high:  now
        sub     eax, esi
        sbb     edx, edi
        mov     ecx, GAUGE_MS
        call    divide64_by32
        test    edx, edx
        jnz     .none
        cmp     eax, 1000               ; 1 MHz: slower is no counter
        jb      .none
        push    eax
        call    .restore
        pop     eax
        clc
        ret
.restore:
        mov     edx, GATE_PORT
        mov     al, bl
        out     dx, al
        ret

; EAX: kHz as the processor tells it (leaf 0x15 crystal and ratio, leaf 0x16 MHz). Carry when it does not.
gauge_by_cpuid:
        mov     eax, [cpu_max_leaf]
        cmp     eax, 0x15
        jb      .none
        mov     eax, 0x15
        xor     ecx, ecx
        cpuid
        test    eax, eax
        jz      .megahertz
        jecxz   .megahertz
        mov     edi, eax
        mov     eax, ecx
        mul     ebx
        mov     ecx, edi
        call    divide64_by32
        mov     ecx, 1000
        call    divide64_by32
        jmp     .check
.megahertz:
        cmp     dword [cpu_max_leaf], 0x16
        jb      .none
        mov     eax, 0x16
        cpuid
        movzx   eax, ax
        imul    eax, 1000
.check: cmp     eax, 1000
        jb      .none
        clc
        ret
.none:  stc
        ret

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
