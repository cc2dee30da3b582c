// See gloo/context.h beside this.
#pragma once
#include <gloo/context.h>
