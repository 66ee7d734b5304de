create database homeport
