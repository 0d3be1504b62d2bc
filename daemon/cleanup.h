/* SPDX-License-Identifier: MIT */
/* What is released on every way out of a function. */
#pragma once

#include <stdlib.h>

static inline void cleanup_free_text(char **text)
{
        free(*text);
}

/* Of a char * from malloc(), or NULL: it has to be initialised. */
#define cleanup_free __attribute__((cleanup(cleanup_free_text)))
