"""What is said to people: the words of a language in one module of tables, and which of them apply.

A second language is a second module with the tables of `evse_pi.api.texts.english`.
"""
