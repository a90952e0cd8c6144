; 64-bit arithmetic for times. None of it is quick; it runs a few times for each command.

        section .text
; EDX:EAX = EDX:EAX * ECX, cut to 64 bits.
multiply64:
        push    ebx
        mov     ebx, eax
        mov     eax, edx
        mul     ecx
        xchg    eax, ebx                ; the high half's product aside
        mul     ecx
        add     edx, ebx
        pop     ebx
        ret

; EDX:EAX = EDX:EAX / ECX:EBX, without the rest. By zero it is all ones: measured times may be
; anything.
divide64:
        push    esi
        push    edi
        push    ebp
        xor     esi, esi                ; EDI:ESI is the rest so far
        xor     edi, edi
        mov     ebp, 64
.bit:   shl     eax, 1
        rcl     edx, 1
        rcl     esi, 1
        rcl     edi, 1
        jc      .fits                   ; a rest of 65 bits
        cmp     edi, ecx
        jb      .next
        ja      .fits
        cmp     esi, ebx
        jb      .next
.fits:  sub     esi, ebx
        sbb     edi, ecx
        inc     eax                     ; the bit just shifted in is zero
.next:  dec     ebp
        jnz     .bit
        pop     ebp
        pop     edi
        pop     esi
        ret

; EDX:EAX = EDX:EAX / ECX.
divide64_by32:
        push    ebx
        push    ecx
        mov     ebx, ecx
        xor     ecx, ecx
        call    divide64
        pop     ecx
        pop     ebx
        ret
