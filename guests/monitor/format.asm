; Text out: strings, words of a command, hexadecimal and decimal numbers. All on top of put_char.

        section .text
; For the macro print: the address of the text is on the stack.
put_literal:
        push    esi
        mov     esi, [esp + 8]
        call    put_text
        pop     esi
        ret     4

; ESI: text that ends with a zero.
put_text:
        push    eax
        push    esi
.next:  lodsb
        test    al, al
        jz      .done
        call    put_char
        jmp     .next
.done:  pop     esi
        pop     eax
        ret

; EBX, ECX: address and length of a word. What a terminal would not show is a question mark.
put_word:
        pushad
        jecxz   .done
.next:  mov     al, [ebx]
        cmp     al, ' '
        jb      .odd
        cmp     al, '~'
        jbe     .put
.odd:   mov     al, '?'
.put:   call    put_char
        inc     ebx
        dec     ecx
        jnz     .next
.done:  popad
        ret

new_line:
        push    eax
        mov     al, CR
        call    put_char
        mov     al, LF
        call    put_char
        pop     eax
        ret

put_space:
        push    eax
        mov     al, ' '
        call    put_char
        pop     eax
        ret

; EAX: a number; ECX: how many hexadecimal digits of it, 1 to 8.
put_hex:
        pushad
        mov     ebx, eax
        mov     edx, ecx
        mov     ecx, 8
        sub     ecx, edx
        shl     ecx, 2
        shl     ebx, cl                 ; the first digit to the top
.next:  rol     ebx, 4
        mov     eax, ebx
        and     eax, 15
        mov     al, [hex_digits + eax]
        call    put_char
        dec     edx
        jnz     .next
        popad
        ret

; The same with 0x before it.
put_0x:
        print   "0x"
        jmp     put_hex

put_0x32:
        push    ecx
        mov     ecx, 8
        call    put_0x
        pop     ecx
        ret

; EDX:EAX: a number.
put_0x64:
        push    eax
        mov     eax, edx
        call    put_0x32
        pop     eax
        push    ecx
        mov     ecx, 8
        call    put_hex
        pop     ecx
        ret

; EAX: a number.
put_decimal:
        push    edx
        xor     edx, edx
        call    put_decimal64
        pop     edx
        ret

; EDX:EAX: a number.
put_decimal64:
        pushad
        mov     ecx, 10
        xor     edi, edi                ; digits on the stack
.divide:
        mov     ebx, eax
        mov     eax, edx
        xor     edx, edx
        div     ecx
        xchg    eax, ebx                ; high quotient to EBX, low dividend to EAX
        div     ecx
        add     dl, '0'
        push    edx
        inc     edi
        mov     edx, ebx
        mov     ebx, eax
        or      ebx, edx
        jnz     .divide
.put:   pop     eax
        call    put_char
        dec     edi
        jnz     .put
        popad
        ret

; EAX: a number below 100, always two digits.
put_two_digits:
        push    eax
        cmp     eax, 10
        jae     .put
        push    eax
        mov     al, '0'
        call    put_char
        pop     eax
.put:   call    put_decimal
        pop     eax
        ret

        section .data
hex_digits:     db "0123456789abcdef"

        section .text
