; The time: the processor's time-stamp counter, whose frequency is measured once, by channel 2 of
; the 8254 timer.

GATE_PORT       equ 0x61                ; bit 0 the gate of channel 2, bit 1 the speaker, bit 5 the output of channel 2
TIMER_2         equ 0x42
CHANNEL_2_ONCE  equ 0xb0                ; channel 2, mode 0: the output goes high after the count
GAUGE_MS        equ 20
GAUGE_COUNT     equ TIMER_HZ * GAUGE_MS / 1000
GAUGE_POLLS     equ 10000
GAUGE_TRIES     equ 8

        section .bss
        alignb  4
tsc_khz:        resd 1                  ; 0: not measured yet
gauge_doubt:    resd 1
gauge_sum:      resd 1
gauge_low:      resd 1

        section .text
; EDX:EAX: the time-stamp counter.
%define now     rdtsc

; Measures the counter's frequency, once. Fails the command when there is no such counter, or
; nothing to measure it by.
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
        mov     ebp, eax
        call    gauge_by_cpuid
        jnc     .set
        mov     eax, ebp                ; a poor measure is better than none
        test    eax, eax
        jz      .nothing
.set:   mov     [tsc_khz], eax
        popad
.known: ret
.nothing:
        fail    "no timer at port 0x42, so no time can be measured"

; EAX: kHz by the timer, 0 without a timer. Carry if it is not accurate enough.
;
; The host may keep the vCPU waiting at any point, so both ends of the gauge are known only as
; intervals. The first try where these are short enough will do; of eight that are not, the best is
; left.
gauge_by_timer:
        mov     dword [gauge_doubt], -1
        mov     ecx, GAUGE_TRIES
.try:   call    gauge_once
        jc      .none
        cmp     ebx, [gauge_doubt]
        jae     .worse
        mov     [gauge_doubt], ebx
        mov     [gauge_sum], eax
.worse: shr     eax, 7                  ; 1/64 of their mean
        cmp     ebx, eax
        jbe     .enough
        dec     ecx
        jnz     .try
        cmp     dword [gauge_doubt], -1
        je      .none
        call    .result
        stc
        ret
.enough:
        call    .result
        cmp     eax, 1000               ; 1 MHz: slower is no counter
        ret                             ; with a carry if it is below
.none:  xor     eax, eax
        stc
        ret
.result:
        mov     eax, [gauge_sum]
        xor     edx, edx
        mov     ecx, 2 * GAUGE_MS
        div     ecx
        ret

; One run of channel 2. EAX: the most and the least ticks that it can have taken, added; EBX: their
; difference, all ones if the try was in vain. Carry when the timer never ends.
gauge_once:
        push    ecx
        push    edx
        in_byte GATE_PORT
        push    eax
        and     al, 0xfc
        or      al, 1
        out     dx, al
        out_byte TIMER_CONTROL, CHANNEL_2_ONCE
        out_byte TIMER_2, GAUGE_COUNT & 0xff
        now
        mov     esi, eax                ; 32 bits of the counter are enough for a second
        out_byte TIMER_2, GAUGE_COUNT >> 8
        now
        mov     edi, eax
        mov     [gauge_low], eax
        mov     ebx, -1
        in_byte GATE_PORT
        test    al, 0x20
        jnz     .end                    ; high at once: no timer counts, or the vCPU was delayed
        mov     ecx, GAUGE_POLLS
.poll:  mov     eax, 8000               ; not every poll has to be a request
.spin:  dec     eax
        jnz     .spin
        now
        mov     ebx, eax
        in_byte GATE_PORT
        test    al, 0x20
        jnz     .high
        mov     [gauge_low], ebx        ; it was still low then
        dec     ecx
        jnz     .poll
        pop     eax
        out_byte GATE_PORT, al
        pop     edx
        pop     ecx
        stc
        ret
.high:  now
        sub     eax, esi                ; the most
        mov     ebx, [gauge_low]
        sub     ebx, edi                ; the least
        mov     ecx, eax
        sub     ecx, ebx
        add     eax, ebx
        mov     ebx, -1
        jc      .end
        mov     ebx, ecx
.end:   xchg    eax, [esp]
        out_byte GATE_PORT, al
        pop     eax
        pop     edx
        pop     ecx
        clc
        ret

; EAX: kHz as reported by the processor (leaf 0x15 crystal and ratio, leaf 0x16 MHz). Carry if it
; reports none.
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
