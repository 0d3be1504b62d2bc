/* SPDX-License-Identifier: MIT */
#include "report_page.h"

/* The assembler finds the file by -I (CMakeLists.txt), and takes it byte by byte. */
__asm__(".section .rodata\n"
        ".global report_page\n"
        ".global report_page_end\n"
        "report_page:\n"
        ".incbin \"report_page.html\"\n"
        "report_page_end:\n"
        ".byte 0\n"
        ".previous\n");
