; `time ACCESS`: how long an access takes, from the guest's side: the request, the device's answer
; and the way back.

TIMED_DEFAULT   equ 10000
TIMED_CHUNK     equ 4096                ; accesses between two looks for Ctrl-C, which are not in the time

        section .bss
        alignb  8
timed_ticks:    resq 1
timed_done:     resd 1

        section .text
        command "time", do_time, 0, "time ACCESS [COUNT]", "time an access, e.g. time in8 3ff"

do_time:
        call    next_word
        jc      fail_usage
        call    find_command
        jc      fail_usage
        cmp     dword [edi + entry.routine], do_access
        jne     fail_usage
        mov     ebp, [edi + entry.parameter]
        call    access_operands
        mov     eax, TIMED_DEFAULT
        call    optional_number
        call    expect_end
        test    eax, eax
        jz      fail_usage
        call    need_time
        mov     dword [timed_done], 0
        mov     dword [timed_ticks], 0
        mov     dword [timed_ticks + 4], 0
        mov     ebx, eax                ; how many are left
.chunk: mov     ecx, TIMED_CHUNK
        cmp     ebx, ecx
        jae     .go
        mov     ecx, ebx
.go:    now
        sub     [timed_ticks], eax
        sbb     [timed_ticks + 4], edx
        call    access
        now
        add     [timed_ticks], eax
        adc     [timed_ticks + 4], edx
        add     [timed_done], ecx
        sub     ebx, ecx
        jz      .print
        call    check_abort
        jnc     .chunk
.print:
        mov     eax, [timed_done]
        call    put_decimal
        print   " accesses, "
        mov     eax, [timed_ticks]
        mov     edx, [timed_ticks + 4]
        call    ticks_to_ns
        mov     esi, eax                ; the whole in EDI:ESI
        mov     edi, edx
        mov     ecx, [timed_done]
        call    divide64_by32
        call    put_decimal64
        print   " ns each, "
        mov     eax, [timed_done]
        mov     ecx, 1000000000
        mul     ecx
        mov     ebx, esi
        mov     ecx, edi
        call    divide64
        call    put_decimal64
        print   " per second", CR, LF
        ret

; EDX:EAX: ticks of the time-stamp counter, fewer than an hour's; nanoseconds afterwards, at least
; 1.
ticks_to_ns:
        push    ecx
        mov     ecx, 1000000
        call    multiply64
        mov     ecx, [tsc_khz]
        call    divide64_by32
        pop     ecx
        push    eax
        or      eax, edx
        pop     eax
        jnz     .done
        inc     eax
.done:  ret
