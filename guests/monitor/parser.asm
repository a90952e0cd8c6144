; Reads a command's text: words, names, numbers. ESI is the cursor; the text ends with a zero.
; Numbers are hexadecimal, 0x optional; a full stop at the end makes one decimal (1000.).

        section .text
        %include "skip-spaces.inc"

; EBX, ECX: address and length of the next word, ESI after it. Carry at the end of the line.
next_word:
        call    skip_spaces
        mov     ebx, esi
        xor     ecx, ecx
.next:  cmp     byte [esi], 0
        je      .end
        cmp     byte [esi], ' '
        je      .end
        inc     esi
        inc     ecx
        jmp     .next
.end:   cmp     ecx, 1                  ; carry when the word is empty
        ret

; AL: a letter made small.
fold_case:
        cmp     al, 'A'
        jb      .done
        cmp     al, 'Z'
        ja      .done
        or      al, 0x20
.done:  ret

; EBX, ECX: a word; EDI: a name that ends with a zero. Zero flag when they are the same.
compare_name:
        pushad
.next:  jecxz   .end
        mov     al, [ebx]
        call    fold_case
        cmp     al, [edi]               ; a name that ended is a zero here
        jne     .done
        inc     ebx
        inc     edi
        dec     ecx
        jmp     .next
.end:   cmp     byte [edi], 0
.done:  popad
        ret

; EBX, ECX: a word. EDI: the entry of the command of that name. Carry if no command has it.
find_command:
        mov     edi, commands
.next:  cmp     edi, commands_end
        je      .none
        push    edi
        mov     edi, [edi + entry.name]
        call    compare_name
        pop     edi
        je      .found
        add     edi, entry_size
        jmp     .next
.found: clc
        ret
.none:  stc
        ret

; EDX:EAX: the next number. Carry, and zero, when the text ends here.
next_number64:
        push    ebx
        push    ecx
        push    edi
        call    next_word
        jc      .none
        push    ebx
        push    ecx
        mov     edi, 10                 ; the base
        cmp     byte [ebx + ecx - 1], '.'
        je      .decimal
        mov     edi, 16
        cmp     ecx, 2
        jb      .digits
        cmp     byte [ebx], '0'
        jne     .digits
        mov     al, [ebx + 1]
        call    fold_case
        cmp     al, 'x'
        jne     .digits
        inc     ebx
        dec     ecx
        inc     ebx
.decimal:
        dec     ecx
.digits:
        jecxz   bad_number
        xor     eax, eax
        xor     edx, edx
.next:  call    .append
        inc     ebx
        dec     ecx
        jnz     .next
        add     esp, 8
        pop     edi
        pop     ecx
        pop     ebx
        clc
        ret
.none:  xor     eax, eax
        xor     edx, edx
        pop     edi
        pop     ecx
        pop     ebx
        stc
        ret

; EDX:EAX = EDX:EAX * EDI + the digit at EBX.
.append:
        push    ebp
        push    eax
        mov     al, [ebx]
        call    fold_case
        movzx   ebp, al
        pop     eax
        sub     ebp, '0'
        jb      bad_number
        cmp     ebp, 10
        jb      .digit
        sub     ebp, 'a' - '0' - 10
        cmp     ebp, 10
        jb      bad_number
        cmp     ebp, 16
        jae     bad_number
.digit: cmp     ebp, edi
        jae     bad_number
        push    eax
        mov     eax, edx
        mul     edi
        jc      .too_large
        xchg    eax, [esp]              ; the low half in, the high product away
        mul     edi
        add     eax, ebp
        adc     edx, 0
        pop     ebp
        add     edx, ebp
        jc      .too_large
        pop     ebp
        ret
.too_large:
        fail    "the number has more than 64 bits"

; The word that is no number is the last one read, right before ESI.
bad_number:
        mov     ebx, esi
        xor     ecx, ecx
.back:  cmp     ebx, command_text
        je      .put
        cmp     byte [ebx - 1], ' '
        je      .put
        dec     ebx
        inc     ecx
        jmp     .back
.put:   print   "error: not a number: "
        call    put_word
        print   " (hexadecimal, or decimal with a full stop: 1000.)", CR, LF
        jmp     command_failed

; EAX: the next number, at most 32 bits. Carry when the text ends here.
next_number:
        push    edx
        call    next_number64
        jc      .done
        test    edx, edx                ; clears the carry
        jz      .done
        fail    "the number has more than 32 bits"
.done:  pop     edx
        ret

; EAX: the next number, which must be there.
required_number:
        call    next_number
        jc      fail_usage
        ret

; EAX: the next number, or, where the text ends, what EAX was.
optional_number:
        push    eax
        call    next_number
        jc      .default
        add     esp, 4
        ret
.default:
        pop     eax
        ret

; The command must end here.
expect_end:
        call    skip_spaces
        cmp     byte [esi], 0
        jne     fail_usage
        ret

; Says how the present command is used.
fail_usage:
        print   "error: usage: "
        mov     esi, [current_command]
        mov     esi, [esi + entry.usage]
        call    put_text
        call    new_line
        jmp     command_failed
