; `irq N [MS]`: counts the interrupts of one line for a while. Lines 0 and 8 get a source, the timer
; and the clock chip; the others are only unmasked: the device is the user's.
;
; The vCPU halts between interrupts, so something must wake it when the line is silent: the timer,
; or for line 0 the clock chip at a slow rate. Until that has been seen to beat, it does not halt
; but spins.

IRQ_DEFAULT_MS  equ 1000
BEATS_TO_TRUST  equ 2

        section .bss
        alignb  8
irq_deadline:   resq 1
irq_started:    resq 1
irq_count:      resd 1                  ; of the line, when we began
beat_count:     resd 1                  ; of the line that wakes us, likewise
beat_line:      resd 1

        section .text
        command "irq", do_irq, 0, "irq LINE [MS]", "count interrupts for a second, or MS ms"

do_irq:
        call    required_number
        mov     ebp, eax                ; the line
        mov     eax, IRQ_DEFAULT_MS
        call    optional_number
        call    expect_end
        mov     edi, eax                ; milliseconds
        cmp     ebp, 15
        ja      .no_line
        cmp     ebp, 2
        je      .cascade
        call    need_time
        cli
        mov     dword [beat_line], 0
        btr     [storm_lines], ebp
        mov     ecx, ebp
        call    unmask_line
        test    ebp, ebp
        jz      .timer
        mov     ecx, 0
        call    unmask_line
        call    start_timer
        cmp     ebp, 8
        jne     .begin
        mov     al, RTC_1024_HZ
        call    start_rtc
        jmp     .begin
.timer: mov     dword [beat_line], 8
        mov     ecx, 8
        call    unmask_line
        call    start_timer
        mov     al, RTC_16_HZ
        call    start_rtc
.begin:
        mov     eax, [line_counts + ebp * 4]
        mov     [irq_count], eax
        mov     ebx, [beat_line]
        mov     eax, [line_counts + ebx * 4]
        mov     [beat_count], eax
        now
        mov     [irq_started], eax
        mov     [irq_started + 4], edx
        mov     eax, edi
        mul     dword [tsc_khz]
        add     eax, [irq_started]
        adc     edx, [irq_started + 4]
        mov     [irq_deadline], eax
        mov     [irq_deadline + 4], edx
.wait:
        cli
        call    check_abort
        jc      .over
        now
        sub     eax, [irq_deadline]
        sbb     edx, [irq_deadline + 4]
        jnc     .over
        mov     eax, [line_counts + ebx * 4]
        sub     eax, [beat_count]
        cmp     eax, BEATS_TO_TRUST
        jb      .spin
        sti
        hlt
        jmp     .wait
.spin:  sti
        pause
        jmp     .wait
.over:
        now
        call    settle_timers
        call    mask_lines
        sti
        sub     eax, [irq_started]
        sbb     edx, [irq_started + 4]
        call    ticks_to_ns
        mov     esi, eax                ; how long it was
        mov     edi, edx
        mov     eax, [line_counts + ebp * 4]
        sub     eax, [irq_count]
        call    put_decimal
        cmp     eax, 1
        je      .single
        print   " interrupts of line "
        jmp     .of_line
.single:
        print   " interrupt of line "
.of_line:
        push    eax
        mov     eax, ebp
        call    put_decimal
        print   " in "
        mov     eax, esi
        mov     edx, edi
        mov     ecx, 1000000
        call    divide64_by32
        call    put_decimal64
        print   " ms, "
        pop     eax
        mov     ecx, 1000000000         ; the rate in tenths, from nanoseconds: times ten to the ten
        mul     ecx
        mov     ecx, 10
        call    multiply64
        mov     ebx, esi
        mov     ecx, edi
        call    divide64
        mov     ebx, eax
        mov     ecx, 10
        call    divide64_by32
        call    put_decimal64
        imul    eax, ecx
        sub     ebx, eax
        mov     eax, ebx
        print   "."
        call    put_decimal
        print   " per second", CR, LF
        bt      [storm_lines], ebp
        jnc     .done
        print   "error: the line never stopped, so it was masked", CR, LF
.done:  ret
.no_line:
        fail    "lines are 0 to f (numbers are hexadecimal)"
.cascade:
        fail    "line 2 joins the two interrupt controllers; no device is on it"

        command "irqs", do_irqs, 0, "irqs", "how many interrupts came, line by line"
